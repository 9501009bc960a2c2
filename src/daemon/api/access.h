#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "daemon/api/problem.h"
#include "httpd/http_server.h"

namespace heimdall {

// Who may ask what. Each returns what is wrong, or nullopt.

// A page of another site that resolves its own name to this machine (DNS rebinding) sends its own name as Host: behind a loopback address only localhost,
// 127.0.0.1 and [::1] are ours. 421.
std::optional<Problem> check_loopback_host(const ServerRequest& request);

// What changes something: not from a page of another site, which a browser tells by Sec-Fetch-Site or by an Origin that is not the Host, 403; not without the token, 401 (403 if none is configured, 500 if it cannot be read); and a body
// only as JSON, 415.
std::optional<Problem> check_change(const ServerRequest& request, const std::function<Result<std::optional<std::string>>()>& token);

// Takes as long for any two strings of the same lengths.
bool is_same_secret(std::string_view given, std::string_view wanted);

}  // namespace heimdall
