#include "store/s3/credentials.h"

#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <mutex>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "io/file.h"

namespace heimdall {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBlanks = " \t\r\n\v\f";
constexpr std::string_view kHint =
    "name the keys in the configuration (access_key_env and secret_key_env, or ..._file), set AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or put them into ~/.aws/credentials";

// Keys found, and in whose words: "environment variables A and B".
struct Found {
  Credentials keys;
  std::string where;
};

Error refused(std::string message, std::string hint = std::string(kHint)) {
  return {.code = ErrorCode::permission_denied, .message = std::move(message), .hint = std::move(hint)};
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos ? std::string_view() : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// Section -> property (in lower case) -> value.
using Properties = std::map<std::string, std::string>;
using Sections = std::map<std::string, Properties>;

// "value # comment" without the comment, which needs a blank before it.
std::string_view without_comment(std::string_view value) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    const bool begins = value[i] == '#' || value[i] == ';';
    if (begins && (i == 0 || value[i - 1] == ' ' || value[i - 1] == '\t')) return trimmed(value.substr(0, i));
  }
  return value;
}

// The name in "[name]"; nullopt if the line is none.
std::optional<std::string> section_name(std::string_view line) {
  const auto end = line.find(']');
  if (line.front() != '[' || end == std::string_view::npos) return std::nullopt;
  return std::string(trimmed(line.substr(1, end - 1)));
}

// The AWS tools' INI (https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html). A line that is indented deeper than the property
// before it belongs to that property ("s3 =" with settings below) and is none of its own. The last of two equal names counts.
Sections parse_ini(std::string_view text) {
  Sections sections;
  Properties* current = nullptr;
  std::size_t property_indent = std::string_view::npos;
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view raw = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::string_view line = trimmed(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    const std::size_t indent = raw.find_first_not_of(kBlanks);
    if (property_indent != std::string_view::npos && indent > property_indent) continue;
    property_indent = std::string_view::npos;
    if (const auto name = section_name(line)) {
      current = &sections[*name];
    } else if (const auto equals = line.find('='); equals != std::string_view::npos && current != nullptr) {
      (*current)[lower_case(trimmed(line.substr(0, equals)))] = without_comment(trimmed(line.substr(equals + 1)));
      property_indent = indent;
    }
  }
  return sections;
}

// The section of a profile in ~/.aws/config, where all but [default] are called [profile x], also [profile "x y"].
const Properties* config_section(const Sections& sections, const std::string& profile) {
  const Properties* plain_default = nullptr;
  for (const auto& [name, properties] : sections) {
    if (name == "default" && profile == "default") plain_default = &properties;
    if (name.size() < 9 || name.substr(0, 7) != "profile" || kBlanks.find(name[7]) == std::string_view::npos) continue;
    std::string_view rest = trimmed(std::string_view(name).substr(8));
    const bool quoted = rest.size() > 1 && (rest.front() == '"' || rest.front() == '\'') && rest.back() == rest.front();
    if (quoted) rest = rest.substr(1, rest.size() - 2);
    if (rest == profile) return &properties;
  }
  return plain_default;
}

const Properties* find_section(const Sections& sections, const std::string& name) {
  const auto found = sections.find(name);
  return found == sections.end() ? nullptr : &found->second;
}

std::string value_of(const Properties& properties, const std::string& name) {
  const auto found = properties.find(name);
  return found == properties.end() ? std::string() : found->second;
}

}  // namespace

struct CredentialSource::State {
  State(CredentialPlaces where, Environment variables) : places(std::move(where)), environment(std::move(variables)) {}

  Result<Found> find();
  std::string description();

 private:
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    Timestamp modified, changed;
    bool operator==(const Stamp&) const = default;
  };
  struct CachedFile {
    Stamp stamp;
    std::string content;
  };
  // One of the AWS shared files: where it is, and how people call it.
  struct SharedFile {
    fs::path path;
    std::string name;
  };

  std::string variable(const std::string& name) const { return environment(name).value_or(""); }
  std::string profile() const;
  SharedFile shared_file(const std::string& variable_name, const std::string& file) const;

  Result<std::string> content(const fs::path& path, std::string_view what);
  Result<Sections> sections(const SharedFile& file);
  Result<std::string> secret(const SecretPlace& place, std::string_view what);

  Result<Found> from_places();
  Result<std::optional<Found>> from_environment() const;
  Result<Found> from_profile();
  Result<std::optional<Found>> from_section(const Properties* section, const std::string& where) const;

  const CredentialPlaces places;
  const Environment environment;
  std::mutex mutex;
  std::map<fs::path, CachedFile> cache;
};

std::string CredentialSource::State::profile() const {
  if (places.profile && !places.profile->empty()) return *places.profile;
  const std::string named = variable("AWS_PROFILE");
  return named.empty() ? "default" : named;
}

CredentialSource::State::SharedFile CredentialSource::State::shared_file(const std::string& variable_name,
                                                                         const std::string& file) const {
  const std::string home = variable("HOME");
  const std::string named = variable(variable_name);
  if (!named.empty()) return {named.substr(0, 2) == "~/" && !home.empty() ? fs::path(home) / named.substr(2) : fs::path(named), named};
  return {home.empty() ? fs::path() : fs::path(home) / ".aws" / file, "~/.aws/" + file};
}

// What the file holds, read again if it is another one than last time. The stamp is taken before the content: what is written in
// between is seen next time.
Result<std::string> CredentialSource::State::content(const fs::path& path, std::string_view what) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return system_error(errno, format("cannot read the {} '{}'", what, printable(path.native())));
  const Stamp stamp = {status.st_dev, status.st_ino, status.st_size, to_timestamp(status.st_mtim), to_timestamp(status.st_ctim)};
  if (const auto known = cache.find(path); known != cache.end() && known->second.stamp == stamp) return known->second.content;
  TRY_ASSIGN(std::string text, read_whole_file(path, what));
  cache[path] = {stamp, text};
  return text;
}

// A file that is not there has no sections; one that cannot be read is an error.
Result<Sections> CredentialSource::State::sections(const SharedFile& file) {
  if (file.path.empty()) return Sections();
  auto text = content(file.path, "AWS shared file");
  if (!text && text.error().code == ErrorCode::not_found) return Sections();
  TRY(text);
  return parse_ini(*text);
}

Result<std::string> CredentialSource::State::secret(const SecretPlace& place, std::string_view what) {
  std::string value, where;
  if (place.environment) {
    where = format("environment variable {}", *place.environment);
    value = variable(*place.environment);
    if (value.empty()) return refused(format("the {}'s {} is not set", what, where), format("set {}", *place.environment));
  } else {
    where = format("file '{}'", printable(place.file->native()));
    auto text = content(*place.file, format("{} file", what));
    if (!text && text.error().code == ErrorCode::not_found) return refused(text.error().message, "create it, with the key on one line");
    TRY(text);
    value = text->substr(0, text->find_last_not_of(kBlanks) + 1);
    if (value.empty()) return refused(format("the {}'s {} is empty", what, where), "put the key into it, on one line");
  }
  if (value.find_first_of("\r\n") == std::string::npos) return value;
  return refused(format("the {}'s {} holds more than one line", what, where), "put nothing but the key there");
}

Result<Found> CredentialSource::State::from_places() {
  for (const auto& [place, name] : {std::pair(&places.access_key, "access key"), std::pair(&places.secret_key, "secret key")}) {
    if (!place->is_set()) {
      return refused(format("the configuration names only half of the credentials: the {} is missing", name),
                     "name both, by environment variables or files");
    }
  }
  auto access_key = secret(places.access_key, "access key");
  auto secret_key = secret(places.secret_key, "secret key");
  if (!access_key && !secret_key) return with_context(secret_key.error(), access_key.error().message);
  TRY(access_key);
  TRY(secret_key);
  const SecretPlace &a = places.access_key, &s = places.secret_key;
  const auto name = [](const SecretPlace& place) {
    return place.environment ? *place.environment : format("'{}'", printable(place.file->native()));
  };
  const auto kind = [](const SecretPlace& place) { return place.environment ? "environment variable" : "file"; };
  const bool alike = a.environment.has_value() == s.environment.has_value();
  return Found{{*access_key, *secret_key, ""},
               alike ? format("{}s {} and {}", kind(a), name(a), name(s)) : format("{} {} and {} {}", kind(a), name(a), kind(s), name(s))};
}

Result<std::optional<Found>> CredentialSource::State::from_environment() const {
  Credentials keys = {variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"), variable("AWS_SESSION_TOKEN")};
  if (keys.access_key.empty() && keys.secret_key.empty()) return std::optional<Found>();
  if (keys.access_key.empty() || keys.secret_key.empty()) {
    const bool no_access_key = keys.access_key.empty();
    const std::string_view missing = no_access_key ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY";
    return refused(format("{} is set, but {} is not", no_access_key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID", missing),
                   format("set {} too, or unset both", missing));
  }
  return std::optional(Found{std::move(keys), "environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"});
}

Result<std::optional<Found>> CredentialSource::State::from_section(const Properties* section, const std::string& where) const {
  if (section == nullptr) return std::optional<Found>();
  Credentials keys = {value_of(*section, "aws_access_key_id"), value_of(*section, "aws_secret_access_key"),
                      value_of(*section, "aws_session_token")};
  if (keys.access_key.empty() && keys.secret_key.empty()) return std::optional<Found>();
  if (keys.access_key.empty() || keys.secret_key.empty()) {
    return refused(format("{} has only half of the credentials: {} is missing", where,
                          keys.access_key.empty() ? "aws_access_key_id" : "aws_secret_access_key"),
                   "put both into that profile");
  }
  return std::optional(Found{std::move(keys), where});
}

Result<Found> CredentialSource::State::from_profile() {
  const std::string name = profile();
  const SharedFile credentials_file = shared_file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
  const SharedFile config_file = shared_file("AWS_CONFIG_FILE", "config");
  TRY_ASSIGN(const Sections in_credentials, sections(credentials_file));
  TRY_ASSIGN(const Sections in_config, sections(config_file));
  const Properties* const own = find_section(in_credentials, name);
  const Properties* const configured = config_section(in_config, name);
  const auto described = [&](const SharedFile& file) { return format("profile '{}' of {}", printable(name), printable(file.name)); };
  // Other tools would act in that role. Its keys alone may be allowed more, or less: not what was meant.
  for (const auto& [section, file] : {std::pair(own, &credentials_file), std::pair(configured, &config_file)}) {
    if (section == nullptr || value_of(*section, "role_arn").empty()) continue;
    return refused(format("{} asks for a role (role_arn), which is not supported", described(*file)),
                   "export the role's temporary keys into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN");
  }
  TRY_ASSIGN(auto found, from_section(own, described(credentials_file)));
  if (!found) {
    TRY_ASSIGN(found, from_section(configured, described(config_file)));
  }
  if (found) return *std::move(found);
  const bool named = places.profile && !places.profile->empty();
  return refused(format("there are no credentials: looked {}for profile '{}' in {} and {}",
                        named ? "" : "into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and ", printable(name),
                        printable(credentials_file.name), printable(config_file.name)));
}

Result<Found> CredentialSource::State::find() {
  const std::scoped_lock lock(mutex);
  if (places.access_key.is_set() || places.secret_key.is_set()) return from_places();
  if (!places.profile || places.profile->empty()) {
    TRY_ASSIGN(auto found, from_environment());
    if (found) return *std::move(found);
  }
  return from_profile();
}

std::string CredentialSource::State::description() {
  if (auto found = find()) return found->where;
  return "nowhere";
}

CredentialSource::CredentialSource(CredentialPlaces places, Environment environment)
    : state_(std::make_unique<State>(std::move(places), std::move(environment))) {}
CredentialSource::~CredentialSource() = default;

Result<Credentials> CredentialSource::get() {
  TRY_ASSIGN(Found found, state_->find());
  return std::move(found.keys);
}

std::string CredentialSource::description() const { return state_->description(); }

}  // namespace heimdall
