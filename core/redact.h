#pragma once

#include <span>
#include <string>
#include <string_view>

namespace vigie {

// `text` with every occurrence of every secret replaced by "***". Secrets shorter than four
// bytes are ignored: they would tear ordinary text apart. For messages that carry text from
// libraries and peers, before they reach a log, a topic or a person.
std::string redact(std::string_view text, std::span<const std::string> secrets);

// At most `bytes_max` bytes of `text`, cut before a UTF-8 character and never inside one, with
// control characters (line ends too) turned into blanks and what is not UTF-8 into "?": one line
// for people.
std::string one_line(std::string_view text, std::size_t bytes_max);

// The text when it is an http or https URL of at most 2048 bytes without blanks, else "": nothing
// else may become a link.
std::string link_or_nothing(std::string_view text);

}  // namespace vigie
