#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/time.h"

// Text from outside is data: before it is kept or shown it goes through here.
namespace vigie::agent {

inline constexpr std::size_t kTextBytesMax = 300;  // Of one sentence kept in an incident.
inline constexpr std::size_t kNameBytesMax = 120;  // Of one name or title.

// One line without control, direction-changing or broken characters, cut at a character
// boundary to at most `bytes_max` bytes, "…" included.
std::string clean(std::string_view text, std::size_t bytes_max = kTextBytesMax);

// `text` as a Markdown code span: nothing in it is interpreted. "" gives "``" never: an empty
// text becomes "-".
std::string code_span(std::string_view text);

// `text` with every character that Markdown or HTML interprets taken literally.
std::string escape_markdown(std::string_view text);

// One part of a state key: letters, digits and ".-_:@" as they are, the rest as %XX; longer than
// 160 bytes ends in a hash instead, so that a hostile name cannot grow a key.
std::string key_part(std::string_view text);

// Two decimals, never an exponent, "nan" or "inf": the same text for the same number everywhere.
std::string number(double value);

// `value` in [0, 1'000'000]; NaN is 0. Detector scores come from outside.
double bounded_score(double value);

// "42s", "1h30m": rounded down to seconds; negative times count as zero.
std::string age_text(EventClock::duration duration);

}  // namespace vigie::agent
