#pragma once

// Helpers of the tests in this folder; never part of the product.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/api/api.h"
#include "daemon/perform.h"
#include "io/sqlite.h"
#include "testing/temp_dir.h"

namespace heimdall::testing {

class QuietLog final : public Log {
 public:
  void write(LogLevel, std::string_view, std::string_view, std::span<const LogField>) override {}
  bool takes(LogLevel) const override { return false; }
};

class NoMarks final : public ScheduleMarks {
 public:
  Result<std::optional<Timestamp>> mark(const Schedule&) override { return std::optional<Timestamp>(); }
  Result<void> save_mark(const Schedule&, Timestamp) override { return {}; }
};

constexpr auto kPatience = std::chrono::seconds(30);

inline void wait_until(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "waited in vain";
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

struct Answer {
  ServerResponse response;
  int status() const { return response.status; }
  std::string text() const { return response.body ? *response.body : ""; }
  nlohmann::json json() const { return nlohmann::json::parse(text(), nullptr, false); }
  std::string header(const std::string& name) const {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }
};

// The API over a directory with some objects, an SQLite database that names some of them, and the runner that really runs; no sockets. Two buckets: "photos",
// in mode delete, and "other", which only reports.
class ApiPlace {
 public:
  explicit ApiPlace(const std::string& more_config = "") {
    std::filesystem::create_directories(root() / "media");
    std::filesystem::create_directories(root() / "other");
    execute("CREATE TABLE photos(path TEXT)");
    execute("CREATE TABLE others(path TEXT)");
    load(more_config);
  }

  std::filesystem::path root() const { return directory_.path(); }
  void execute(const std::string& sql) {
    auto db = sqlite::Database::open(root() / "app.db", sqlite::OpenMode::create, std::chrono::seconds(5));
    ASSERT_TRUE(db.has_value());
    ASSERT_TRUE(db->execute(sql).has_value());
  }
  // An old object of "photos".
  void put(const std::string& key) { put_in("media", key); }
  void put_in(const std::string& folder, const std::string& key) {
    const auto path = root() / folder / key;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "0123456789";
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - std::chrono::hours(24 * 90));
  }
  void refer(const std::string& key) { execute("INSERT INTO photos VALUES ('" + key + "')"); }
  // Four objects of "photos", of which "old-1.jpg" and "old-2.jpg" have no row.
  void fill() {
    for (const char* key : {"a.jpg", "b.jpg", "old-1.jpg", "old-2.jpg"}) put(key);
    for (const char* key : {"a.jpg", "b.jpg"}) refer(key);
    put_in("other", "x.jpg");
    execute("INSERT INTO others VALUES ('x.jpg')");
  }
  bool has(const std::string& key) const { return std::filesystem::exists(root() / "media" / key); }

  // "GET", "/api/v1/runs?limit=2"
  void ask(const std::string& method, const std::string& target, std::string body, std::map<std::string, std::string> headers,
           std::function<void(ServerResponse)> respond) {
    ServerRequest request;
    request.method = method;
    const std::size_t mark = target.find('?');
    request.path = target.substr(0, mark);
    std::string rest = mark == std::string::npos ? "" : target.substr(mark + 1);
    while (!rest.empty()) {
      const std::string one = rest.substr(0, rest.find('&'));
      rest = one.size() == rest.size() ? "" : rest.substr(one.size() + 1);
      request.query[one.substr(0, one.find('='))] = one.substr(std::min(one.size(), one.find('=') + 1));
    }
    headers.emplace("host", "localhost:8001");
    request.headers = std::move(headers);
    request.body = std::move(body);
    request.peer = "127.0.0.1:4711";
    api->handle(request, std::move(respond));
  }
  Answer ask(const std::string& method, const std::string& target, const std::string& body = "", std::map<std::string, std::string> headers = {}) {
    auto promise = std::make_shared<std::promise<ServerResponse>>();
    auto answer = promise->get_future();
    ask(method, target, body, std::move(headers), [promise](ServerResponse response) { promise->set_value(std::move(response)); });
    if (answer.wait_for(kPatience) != std::future_status::ready) {
      ADD_FAILURE() << method << " " << target << " was not answered";
      return {};
    }
    return {answer.get()};
  }
  Answer get(const std::string& target) { return ask("GET", target); }
  Answer post(const std::string& target, const std::string& body = "") { return ask("POST", target, body, with_token()); }
  Answer remove(const std::string& target) { return ask("DELETE", target, "", with_token()); }
  static std::map<std::string, std::string> with_token() {
    return {{"authorization", "Bearer secret"}, {"content-type", "application/json"}};
  }

  // Starts a run and waits for its end: its id.
  std::string run(const std::string& target, const std::string& body) {
    const Answer started = post(target, body);
    EXPECT_EQ(started.status(), 202) << started.text();
    if (started.status() != 202) return "";
    const std::string id = started.json()["run_id"];
    wait_for_end(id);
    return id;
  }
  void wait_for_end(const std::string& id) {
    wait_until([&] { return !runner->live(id); });
  }

  // Runs wait here before they begin, while it is closed.
  void close_gate() { gate_closed_ = true; }
  void open_gate() { gate_closed_ = false; }

  SystemClock clock;
  QuietLog log;
  NoMarks marks;
  std::optional<std::string> token = "secret";
  bool loopback = true;
  std::shared_ptr<const Config> config;
  std::unique_ptr<StateDirectory> directory;
  std::unique_ptr<StateDatabase> state;
  std::unique_ptr<EventLog> events;
  std::unique_ptr<Board> board;
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<Dependencies> dependencies;
  std::unique_ptr<Runner> runner;
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<Api> api;

  ~ApiPlace() {
    open_gate();
    scheduler->stop();
    api.reset();
    runner->stop();
    scheduler.reset();
  }

 private:
  void load(const std::string& more) {
    const std::string text =
        "stores:\n  media: {type: directory, path: ./media, age: mtime}\n  other: {type: directory, path: ./other, age: mtime}\n"
        "databases:\n  local: {type: sqlite, path: ./app.db}\n"
        "defaults: {min_age: 30d, grace: 0s}\n"
        "buckets:\n"
        "  - {name: photos, store: media, mode: delete, references: [{database: local, query: \"SELECT path FROM photos\"}]}\n"
        "  - {name: other, store: other, description: Only looked at, references: [{database: local, query: \"SELECT path FROM others\"}]}\n"
        "state: {path: ./state}\n" + more;
    auto parsed = parse_config(text, root() / "heimdall.yaml", [](const std::string&) { return std::nullopt; });
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    config = std::make_shared<const Config>(std::move(*parsed));
    auto opened = StateDirectory::open(config->state);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    directory = std::make_unique<StateDirectory>(std::move(*opened));
    auto database = StateDatabase::open(*directory, clock);
    ASSERT_TRUE(database.has_value()) << database.error().message;
    state = std::move(database->database);
    events = std::make_unique<EventLog>(clock);
    board = std::make_unique<Board>(std::vector<BucketBoard>{{"photos", "media", "", "delete", {}, {}, {}}, {"other", "other", "Only looked at", "report", {}, {}, {}}});
    metrics = std::make_unique<Metrics>(clock.now());
    dependencies = std::make_unique<Dependencies>(std::vector<Dependency>{}, Dependencies::Pace{}, clock, log);
    const PerformRun perform = make_perform({.config = [this] { return config; }, .clock = clock, .log = log, .traffic = *metrics, .history = *state});
    runner = std::make_unique<Runner>(
        [this, perform](const RunRequest& request, const std::string& run_id, Progress& progress, std::stop_token stop) {
          progress.begin("listing", "photos", 7);
          progress.advance(3);
          while (gate_closed_ && !stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
          progress.end();
          return perform(request, run_id, progress, stop);
        },
        clock, log, *events, [this](const RunReport& report) { (void)state->save_run(report); });
    std::vector<Schedule> schedules;
    for (const ScheduleConfig& one : config->schedules) {
      schedules.push_back({one.name, one.task == ScheduledTask::cleanup ? Task::cleanup : Task::stats, one.timing, one.buckets, one.jitter, one.retries});
    }
    scheduler = std::make_unique<Scheduler>(std::move(schedules), marks, *runner, clock, log);
    runner->watch(*board);
    runner->watch(*metrics);
    runner->watch(*scheduler);
    scheduler->start();
    api = std::make_unique<Api>(ApiContext{[this] { return config; }, *runner, *scheduler, *board, *dependencies, *events, *metrics, *state, *directory, clock, log,
                                           [this]() -> Result<std::optional<std::string>> { return token; }, [this] { return loopback; }});
  }

  TempDir directory_;
  std::atomic<bool> gate_closed_{false};
};

}  // namespace heimdall::testing
