#include "daemon/service.h"

#include <cstdlib>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <utility>

#include "app/look_up_secret.h"
#include "app/open_checks.h"
#include "base/format.h"
#include "base/guarded.h"
#include "base/text.h"
#include "base/watched_log.h"
#include "daemon/api/api.h"
#include "daemon/board.h"
#include "daemon/dependencies.h"
#include "daemon/event_log.h"
#include "daemon/notify.h"
#include "daemon/perform.h"
#include "daemon/runner.h"
#include "daemon/scheduler.h"
#include "daemon/upkeep.h"
#include "httpd/http_server.h"
#include "state/state_database.h"
#include "state/state_directory.h"

namespace heimdall {

namespace {

// A sweep ends with its batch. What takes longer is cut off: its journal says what is in doubt, and the next start looks it up.
constexpr std::chrono::milliseconds kLongestEnd = std::chrono::seconds(12);

std::shared_ptr<const Config> shared(Config config) { return std::make_shared<const Config>(std::move(config)); }

std::vector<BucketBoard> boards_of(const Config& config) {
  std::vector<BucketBoard> boards;
  for (const BucketConfig& bucket : config.buckets) {
    BucketBoard board;
    board.name = bucket.policy.name;
    board.store = bucket.store;
    board.description = bucket.description;
    board.mode = bucket.policy.mode == Mode::remove ? "delete" : "report";
    boards.push_back(std::move(board));
  }
  return boards;
}

std::vector<Schedule> schedules_of(const Config& config) {
  std::vector<Schedule> schedules;
  for (const ScheduleConfig& entry : config.schedules) {
    Schedule schedule{.name = entry.name, .task = entry.task == ScheduledTask::cleanup ? Task::cleanup : Task::stats, .timing = entry.timing};
    schedule.buckets = entry.buckets;
    schedule.jitter = entry.jitter;
    schedule.retries = entry.retries;
    schedules.push_back(std::move(schedule));
  }
  return schedules;
}

class StoredMarks final : public ScheduleMarks {
 public:
  explicit StoredMarks(StateDatabase& state) : state_(state) {}
  Result<std::optional<Timestamp>> mark(const Schedule& schedule) override { return state_.schedule_mark(name_of(schedule)); }
  Result<void> save_mark(const Schedule& schedule, Timestamp until) override { return state_.save_schedule_mark(name_of(schedule), until); }

 private:
  static std::string name_of(const Schedule& schedule) { return format("{} ({})", schedule.name, schedule.timing.text()); }

  StateDatabase& state_;
};

// What was in doubt was no longer in the figures, nor taken off them: only the history knows, once it was looked up.
class AfterRecovery final : public RunWatcher {
 public:
  explicit AfterRecovery(std::function<void()> look) : look_(std::move(look)) {}
  void run_began(const RunRequest&, const std::string&) override {}
  void phase_ended(const std::string&, std::string_view, std::chrono::nanoseconds, std::uint64_t) override {}
  void run_ended(const RunRequest& request, const RunOutcome&) override {
    if (request.task == Task::recover) look_();
  }

 private:
  const std::function<void()> look_;
};

// Everything a running service consists of, in the order in which it depends on each other.
class Service {
 public:
  static Result<std::unique_ptr<Service>> start(ServiceOptions& options) {
    TRY_ASSIGN(StateDirectory directory, StateDirectory::open(options.config.state));
    TRY_ASSIGN(FileLock lock, directory.lock_service());
    TRY_ASSIGN(StateDatabase::Opened opened, StateDatabase::open(directory, options.clock));
    if (directory.created()) {
      options.log.warning("state.created", format("the state directory '{}' did not exist and was created; grace starts now", directory.root().string()));
    }
    if (!opened.warning.empty()) options.log.warning("state.damaged", opened.warning);
    TRY(opened.database->mark_interrupted_runs());
    auto service = std::unique_ptr<Service>(new Service(options, std::move(directory), std::move(lock), std::move(opened.database)));
    TRY(service->load_figures());
    TRY(service->restore_metrics());
    TRY(service->listen());
    service->scheduler_.start();
    service->begin_upkeep();
    return service;
  }

  ~Service() {
    // What is due from now on is made up by the next start. The runs end while somebody can still watch them.
    scheduler_.stop();
    runner_.stop();
    server_.reset();
    upkeep_.reset();
  }

  const HttpServer& server() const { return *server_; }

  // What systemctl status shows.
  std::string status() const {
    const auto live = runner_.all_live();
    if (live.empty()) return "idle";
    const LiveRun& run = live.front();
    if (!run.started || run.phase.empty()) return format("{} {}", to_string(run.request.task), run.run_id);
    const std::string of = run.expected ? format(" of {}", with_thousands(*run.expected)) : "";
    return format("{}: {} {}, {}{}", to_string(run.request.task), run.phase, run.bucket, with_thousands(run.done), of);
  }

  // Threads and memory may be short just now: that ends neither the service nor what it does.
  void reload() {
    try {
      take_configuration();
    } catch (const std::exception& exception) {
      log_.error("config.refused", format("the configuration was not taken, or not all of it: {}", exception.what()));
      metrics_->reloaded(false, options_.clock.now());
    }
  }

  void warn_without_token() {
    const auto found = token();
    if (found && *found && !(*found)->empty()) return;
    log_.warning("http.no_token", found ? "no token is configured: nothing can be changed over HTTP" : "nothing can be changed over HTTP: " + found.error().message);
  }

 private:
  void take_configuration() {
    auto loaded = options_.reload();
    if (!loaded) {
      log_.error("config.refused", "the configuration was not taken, the one before stays: " + loaded.error().message, {{"hint", loaded.error().hint}});
      metrics_->reloaded(false, options_.clock.now());
      return;
    }
    const auto before = config();
    if (loaded->state != before->state || listen_of(*loaded) != listen_of(*before)) {
      log_.warning("config.needs_restart", "`state` and `http: {listen}` stay as they are until the service is started again");
      loaded->state = before->state;
    }
    const auto now_valid = shared(std::move(*loaded));
    *config_.lock() = now_valid;
    board_.replace(boards_of(*now_valid));
    refresh_figures();
    scheduler_.replace(schedules_of(*now_valid));
    dependencies_.replace(dependencies_of(*now_valid));
    metrics_->reloaded(true, options_.clock.now());
    log_.info("config.reloaded", format("'{}' was read again", now_valid->path.string()));
  }

  Service(ServiceOptions& options, StateDirectory directory, FileLock lock, std::unique_ptr<StateDatabase> state)
      : options_(options),
        metrics_(std::make_shared<Metrics>(options.clock.now())),
        log_(options.log, [this](LogLevel level) { metrics_->log_line(level); }),
        lock_(std::move(lock)),
        directory_(std::move(directory)),
        state_(std::move(state)),
        config_(shared(std::move(options.config))),
        events_(options.clock),
        board_(boards_of(*config())),
        marks_(*state_),
        runner_(make_perform({[this] { return config(); }, options.clock, log_, *metrics_, *state_,
                              [this](std::string_view run_id, std::span<const Deletion> deletions) {
                                metrics_->deletions(deletions);
                                runner_.note_deletions(run_id, deletions);
                              },
                              [this] { return state_->check_in_place(); }}),
                options.clock, log_, events_,
                [this](const RunReport& report) { save(report); }),
        scheduler_(schedules_of(*config()), marks_, runner_, options.clock, log_),
        dependencies_(dependencies_of(*config()), {}, options.clock, log_) {
    runner_.watch(board_);
    runner_.watch(*metrics_);
    runner_.watch(after_recovery_);
    api_ = std::make_unique<Api>(ApiContext{[this] { return config(); }, runner_, scheduler_, board_, dependencies_, events_, *metrics_, *state_,
                                            directory_, options.clock, log_, [this] { return token(); }, [this] { return loopback_only_.load(); }});
  }

  void begin_upkeep() {
    upkeep_ = std::make_unique<Upkeep>(Upkeep::Parts{[this] { return config(); }, runner_, board_, *state_, directory_, *metrics_, options_.clock, log_});
  }

  std::shared_ptr<const Config> config() { return *config_.lock(); }
  static std::string listen_of(const Config& config) { return config.http.value_or(HttpConfig{}).listen; }

  Result<std::optional<std::string>> token() {
    const auto now_valid = config();
    if (!now_valid->http) return std::optional<std::string>();
    return look_up_secret(now_valid->http->token, "token", options_.environment);
  }

  void save(const RunReport& report) {
    if (auto saved = state_->save_run(report); !saved) {
      log_.error("run.not_saved", "the report of a run could not be written: " + saved.error().message, {{"run_id", report.run_id}});
    }
  }

  // The figures of the last complete scans, so that metrics go on where they were.
  Result<void> load_figures() {
    for (const BucketBoard& bucket : board_.buckets()) {
      TRY_ASSIGN(const auto measured, state_->last_measured(bucket.name));
      if (measured) board_.set_figures(bucket.name, measured->figures, measured->at);
    }
    return {};
  }

  void refresh_figures() {
    if (auto figures = load_figures(); !figures) log_.warning("state.unreadable", figures.error().message);
  }

  // When runs succeeded last, before this process.
  Result<void> restore_metrics() {
    TRY_ASSIGN(const std::vector<Attempts> attempts, state_->attempts());
    metrics_->restore(attempts);
    return {};
  }

  std::vector<Dependency> dependencies_of(const Config& config) {
    std::vector<Dependency> all;
    // A look that hangs may outlive the service, so it shares what it uses.
    all.push_back({"state", "state", [state = state_](std::stop_token) -> Result<void> { return state->check_writable(); }});
    for (DependencyCheck& check : dependency_checks(config, options_.clock, metrics_.get())) {
      all.push_back({check.kind, check.name, [metrics = metrics_, look = std::move(check.check)](std::stop_token stop) { return look(std::move(stop)); }});
    }
    return all;
  }

  Result<void> listen() {
    HttpServerOptions http;
    http.listen = listen_of(*config());
    TRY_ASSIGN(server_, HttpServer::start(http, [this](const ServerRequest& request, std::function<void(ServerResponse)> respond) {
                 api_->handle(request, std::move(respond));
               }));
    loopback_only_ = server_->is_loopback();
    return {};
  }

  ServiceOptions& options_;
  std::shared_ptr<Metrics> metrics_;
  WatchedLog log_;  // metrics tell of its lines, too
  FileLock lock_;
  StateDirectory directory_;
  std::shared_ptr<StateDatabase> state_;
  Guarded<std::shared_ptr<const Config>> config_;
  EventLog events_;
  Board board_;
  StoredMarks marks_;
  AfterRecovery after_recovery_{[this] { refresh_figures(); }};
  Runner runner_;
  Scheduler scheduler_;
  Dependencies dependencies_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<Upkeep> upkeep_;
  std::atomic<bool> loopback_only_ = true;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace

Result<void> serve(ServiceOptions options) {
  const ServiceManager manager = ServiceManager::from(options.environment);
  TRY_ASSIGN(std::unique_ptr<Service> service, Service::start(options));
  service->warn_without_token();
  options.log.info("service.ready", format("listening on http://{}", service->server().address()), {{"listen", service->server().address()}});
  manager.ready(service->status());

  const auto turn = manager.watchdog().value_or(std::chrono::seconds(10));
  while (true) {
    const auto command = options.next_command(turn);
    if (command == ServiceCommand::stop) break;
    if (command == ServiceCommand::reload) {
      manager.reloading();
      service->reload();
      manager.ready(service->status());
    }
    manager.alive();
    manager.status(service->status());
  }

  options.log.info("service.stopping", "asked to stop: the batch under way is finished first");
  manager.stopping(kLongestEnd + std::chrono::seconds(3));
  auto ended = std::async(std::launch::async, [&] { service.reset(); });
  if (ended.wait_for(kLongestEnd) != std::future_status::ready) {
    options.log.warning("service.cut", "a request to a store or database did not end in time; what is in doubt is in the journal, the next start looks it up");
    std::_Exit(0);
  }
  options.log.info("service.stopped", "stopped");
  return {};
}

}  // namespace heimdall
