#pragma once

#include <string>
#include <string_view>

namespace heimdall {

// The form in which two keys that a sloppy writer would mix up are equal: percent-decoded until nothing changes, NFC and
// case-folded (ASCII only where the bytes are not UTF-8), blanks trimmed at both ends, runs of slashes collapsed, leading slashes dropped.
// Pure, never throws, idempotent.
void near_form(std::string_view key, std::string& out);

// Whether `key` surely is its own near form, as most are: lower case, digits and single slashes. Within nanoseconds.
bool is_near_form(std::string_view key);

}  // namespace heimdall
