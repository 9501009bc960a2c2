#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace heimdall {

// What several threads ask while an answer is being made is answered together by the next one: a commit, a query that costs for many
// what it costs for one. Thread-safe.
template <class Question, class Answer>
class Together {
 public:
  // One answer per question, in order. Called by one thread at a time, without a lock.
  using AnswerAll = std::function<std::vector<Answer>(std::span<const Question>)>;

  explicit Together(AnswerAll answer_all) : answer_all_(std::move(answer_all)) {}

  // The answer was begun after this call.
  Answer ask(Question question) {
    Waiting mine{std::move(question), std::nullopt};
    std::unique_lock lock(mutex_);
    waiting_.push_back(&mine);
    answered_.wait(lock, [&] { return mine.answer || !is_answering_; });
    if (!mine.answer) answer_waiting(lock);
    return *std::move(mine.answer);
  }

 private:
  struct Waiting {
    Question question;
    std::optional<Answer> answer;
  };

  void answer_waiting(std::unique_lock<std::mutex>& lock) {
    const std::vector<Waiting*> all = std::exchange(waiting_, {});
    is_answering_ = true;
    lock.unlock();
    std::vector<Question> questions;
    for (Waiting* one : all) questions.push_back(std::move(one->question));
    std::vector<Answer> answers = answer_all_(questions);
    lock.lock();
    for (std::size_t i = 0; i < all.size(); ++i) all[i]->answer = std::move(answers[i]);
    is_answering_ = false;
    answered_.notify_all();
  }

  const AnswerAll answer_all_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::vector<Waiting*> waiting_;
  bool is_answering_ = false;
};

}  // namespace heimdall
