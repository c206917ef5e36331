#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/time.h"
#include "schemas/json.h"

// Members of what webhooks send, made fit to keep: one line, bounded, links that are links, times
// that are not ahead of the clock. Only for .cc files.
namespace vigie::schemas::fields {

// "" when there is no such text; a number or a truth value counts as its text.
std::string text_at(const Json& json, std::string_view pointer);
std::string first_line_at(const Json& json, std::string_view pointer);

// The first that is there and not empty.
std::string first_text(const Json& json, std::initializer_list<std::string_view> pointers);
std::string first_link(const Json& json, std::initializer_list<std::string_view> pointers);

// RFC 3339, "2026-11-21 10:28:00 UTC" or "… +0100" as GitLab writes, or a number of seconds or
// milliseconds since 1970. nullopt for anything else.
std::optional<EventTime> parse_any_time(std::string_view text);

// The first that is there, at most `now`; `now` when none is.
EventTime first_time(const Json& json, std::initializer_list<std::string_view> pointers,
                     EventTime now);

Result<std::int64_t> required_integer(const Json& json, std::string_view pointer);
Result<std::string> required_text(const Json& json, std::string_view pointer);

}  // namespace vigie::schemas::fields
