#include "cli/options.h"

#include <CLI/CLI.hpp>

#include <array>
#include <sstream>

#include "app/config/config.h"
#include "base/format.h"
#include "base/text.h"
#include "cli/version.h"

namespace heimdall {

namespace {

constexpr const char* kDescription =
    "Finds the objects of a bucket that no database row refers to, proves it, and\n"
    "reclaims them safely. First `doctor`, then `scan`; `plan -o FILE`, `show FILE`\n"
    "and `apply FILE` delete what the plan lists.";

constexpr const char* kFooter =
    "Exit status: 0 ok, 1 failure, 2 plan not empty (--detailed-exitcode), 3 partial,\n"
    "4 a guard refused, 5 plan stale or used, 6 approval missing, 7 unreachable,\n"
    "8 permission, 10 configuration, 11 locked, 12 doctor found problems, 64 usage,\n"
    "130 interrupted.\n"
    "The configuration is --config FILE, else ./heimdall.yaml, else\n"
    "/etc/heimdall-storage/heimdall.yaml; docs/configuration.md describes it.";

constexpr int kMaxCount = 1000;

const std::array<std::pair<std::string, LogFormat>, 3> kLogFormats = {
    {{"auto", LogFormat::automatic}, {"human", LogFormat::human}, {"json", LogFormat::json}}};
const std::array<std::pair<std::string, LogLevel>, 4> kLogLevels = {
    {{"debug", LogLevel::debug}, {"info", LogLevel::info}, {"warning", LogLevel::warning}, {"error", LogLevel::error}}};

// Builds the parser around one Options.
class Parser {
 public:
  Parser() : app_(kDescription, "heimdall-storage") {
    app_.require_subcommand(1);
    app_.fallthrough();  // global flags may stand behind the command, too
    app_.footer(kFooter);
    app_.get_formatter()->column_width(24);  // subcommands inherit it; with their texts it makes 80 columns
    app_.set_version_flag("--version", format("heimdall-storage {}", kVersion));
    app_.add_option("--config", options_.config, "the configuration (default ./heimdall.yaml)");
    app_.add_option("--state", options_.state, "state directory, instead of the configured one");
    // One value each: a list would swallow the positional arguments behind it.
    app_.add_option("--bucket", options_.buckets, "only this bucket (repeatable)")->expected(1)->take_all()->allow_extra_args(false);
    flag(app_, "--json", json_, "JSON Lines on standard output");
    flag(app_, "--null", options_.null, "lists of keys end each key with NUL instead of a newline");
    flag(app_, "--quiet,-q", options_.quiet, "no progress on standard error");
    add_commands();
  }

  tl::expected<Options, Usage> parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      std::ostringstream out;
      std::ostringstream err;
      const int code = app_.exit(error, out, err);
      return tl::unexpected(Usage{code == 0 ? 0 : 64, code == 0 ? out.str() : err.str() + unknown_command(argc, argv)});
    }
    for (const std::string& name : accepted_) {
      const auto guard = guard_named(name);
      if (!guard) return tl::unexpected(Usage{64, unknown_guard(name)});
      options_.accepted.push_back(*guard);
    }
    for (const auto& [sub, command] : commands_) {
      if (sub->parsed()) options_.command = command;
    }
    const bool planned = options_.command == Command::apply && options_.file;
    if (planned && (!accepted_.empty() || options_.limit || options_.ignore_grace == Switch::on)) {
      return tl::unexpected(Usage{64, "apply FILE carries out the plan as it is: --accept, --limit and --ignore-grace belong to `plan`\n"});
    }
    if (auto refused = read_values()) return tl::unexpected(Usage{64, *refused + "\n"});
    options_.format = json_ == Switch::on ? Format::json : Format::text;
    return options_;
  }

 private:
  static void flag(CLI::App& app, const char* names, Switch& target, const char* help) {
    app.add_flag_callback(names, [&target] { target = Switch::on; }, help);
  }

  CLI::App& add(const char* name, Command command, const char* help) {
    CLI::App* sub = app_.add_subcommand(name, help);
    commands_.emplace_back(sub, command);
    return *sub;
  }

  void add_accept(CLI::App& app) {
    app.add_option("--accept", accepted_, "override this guard for this run (repeatable)")->expected(1)->take_all()->allow_extra_args(false);
  }

  // Without the check, "-1" would become the largest number there is.
  void add_limit(CLI::App& app, const char* help) {
    const auto check = [](const std::string& text) {
      return text.starts_with("-") ? format("'{}' is less than nothing: a whole number is wanted", printable(text)) : std::string();
    };
    app.add_option("--limit", options_.limit, help)->type_name("N")->check(CLI::Validator(check, ""));
  }

  void add_commands() {
    CLI::App& doctor = add("doctor", Command::doctor, "tries every connection and mapping, and says the fix");
    flag(doctor, "--probe", options_.probe, "also write and delete a file in .heimdall-storage/");

    CLI::App& scan = add("scan", Command::scan, "lists, compares and reports; deletes nothing");
    add_accept(scan);
    scan.add_option("--dangling", options_.dangling, "write the references without an object to this file");

    CLI::App& plan = add("plan", Command::plan, "a scan that writes the candidates into a sealed plan");
    plan.add_option("-o,--out", options_.file, "the plan to write")->required();
    flag(plan, "--ignore-grace", options_.ignore_grace, "take what is still in grace, too");
    add_limit(plan, "take only the N oldest of each bucket");
    flag(plan, "--detailed-exitcode", options_.detailed_exitcode, "exit 2 if the plan is not empty");
    add_accept(plan);

    CLI::App& show = add("show", Command::show, "what a plan would do");
    show.add_option("FILE", options_.file, "the plan")->required();
    flag(show, "--keys", options_.keys, "every candidate, with its reason");

    CLI::App& apply = add("apply", Command::apply, "carries out a plan; without one: plans, asks, deletes");
    apply.add_option("FILE", options_.file, "the plan; naming it is the approval");
    flag(apply, "--dry-run", options_.dry_run, "stop before deleting");
    flag(apply, "--yes", options_.yes, "do not ask");
    flag(apply, "--keys", options_.keys, "what became of every key");
    flag(apply, "--ignore-grace", options_.ignore_grace, "without a plan: take what is still in grace, too");
    add_limit(apply, "without a plan: take only the N oldest of each bucket");
    add_accept(apply);

    CLI::App& explain = add("explain", Command::explain, "why one object is, or is not, deleted");
    explain.add_option("OBJECT", options_.arguments, "s3://BUCKET/KEY")->required();

    add("recover", Command::recover, "looks up what an interrupted run left in doubt");

    CLI::App& runs = add("runs", Command::runs, "the history of runs");
    CLI::App* show_run = runs.add_subcommand("show", "one run and what became of each key");
    show_run->add_option("ID", options_.arguments, "the run")->required()->expected(1);
    show_run->fallthrough();
    add_limit(runs, "at most N runs (default 20)");

    CLI::App& stats = add("stats", Command::stats, "sizes, orphans and health of each bucket");
    flag(stats, "--history", options_.history, "the figures of past days, from the state directory");

    CLI::App& schedules = add("schedules", Command::schedules, "when each schedule is due next");
    schedules.add_option("--from", from_, "times after this one (RFC 3339; default: now)")->type_name("TIME");
    schedules.add_option("--count", options_.count, "times of each schedule (default 5)")
        ->type_name("N")->check(CLI::Validator(CLI::Range(1, kMaxCount)).description(""));

    CLI::App& serve = add("serve", Command::serve, "runs the schedules; metrics, health and API by HTTP");
    serve.add_option("--listen", options_.listen, "address:port, instead of http.listen");
    one_of(serve, "--log-format", options_.log_format, kLogFormats, "auto, human or json");
    one_of(serve, "--log-level", options_.log_level, kLogLevels, "debug, info, warning or error");
  }

  template <class Value, std::size_t N>
  static void one_of(CLI::App& app, const char* name, Value& target, const std::array<std::pair<std::string, Value>, N>& values, const char* help) {
    std::vector<std::string> names;
    for (const auto& [word, value] : values) names.push_back(word);
    const auto set = [&target, &values](const std::string& word) {
      for (const auto& [known, value] : values) {
        if (known == word) target = value;
      }
    };
    app.add_option_function<std::string>(name, set, help)->check(CLI::Validator(CLI::IsMember(names)).description(""));
  }

  // What the parser takes as text; the sentence for people if it is none of what is allowed.
  std::optional<std::string> read_values() {
    if (from_) {
      options_.from = parse_rfc3339(*from_);
      if (!options_.from) return format("--from: '{}' is not a time; write one such as 2026-11-25T03:00:00Z", printable(*from_));
    }
    if (options_.listen) {
      if (const auto checked = check_listen_address(*options_.listen); !checked) {
        return format("--listen: {}\n{}", checked.error().message, checked.error().hint);
      }
    }
    return std::nullopt;
  }

  std::string unknown_command(int argc, const char* const* argv) const {
    std::vector<std::string> known;
    for (const auto& [sub, command] : commands_) known.push_back(sub->get_name());
    for (int i = 1; i < argc; ++i) {
      const std::string word = argv[i];
      if (word == "--config" || word == "--state" || word == "--bucket") ++i;  // their value is no command
      if (word.starts_with("-")) continue;
      if (std::find(known.begin(), known.end(), word) != known.end()) break;
      const auto near = nearest(word, known);
      return format("There is no command '{}'.{}\n", printable(word), near ? format(" Did you mean '{}'?", *near) : "");
    }
    return "";
  }

  static std::string unknown_guard(const std::string& name) {
    const std::vector<std::string> known(kGuardNames.begin(), kGuardNames.end());
    std::string all;
    for (const std::string& guard : known) all += (all.empty() ? "" : ", ") + guard;
    const auto near = nearest(name, known);
    return format("--accept: there is no guard '{}'{}\nThe guards are: {}\n", printable(name),
                  near ? format("; did you mean '{}'?", *near) : "", all);
  }

  CLI::App app_;
  Options options_;
  Switch json_ = Switch::off;
  std::vector<std::string> accepted_;
  std::optional<std::string> from_;
  std::vector<std::pair<CLI::App*, Command>> commands_;
};

}  // namespace

tl::expected<Options, Usage> parse_command_line(int argc, const char* const* argv) { return Parser().parse(argc, argv); }

}  // namespace heimdall
