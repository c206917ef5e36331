#include "schemas/attribute_text.h"

#include <cmath>

#include <fmt/format.h>

#include "schemas/json.h"
#include "schemas/text.h"

namespace vigie::schemas::detail {

void AttributeText::separate() {
    if (!open_.empty() && !first_ && !after_key_) text_ += ',';
    first_ = false;
    after_key_ = false;
}

void AttributeText::add_word(std::string_view word) {
    if (is_full()) return;
    separate();
    text_ += word;
}

void AttributeText::add_quoted(std::string_view value) {
    add_word(dump_json(Json(clean_text(value, bytes_max_))));
}

void AttributeText::add_string(std::string_view value) {
    if (!open_.empty()) return add_quoted(value);
    text_ = clean_text(value, bytes_max_);
}

void AttributeText::add_integer(std::int64_t value) {
    add_word(fmt::format("{}", value));
}

void AttributeText::add_double(double value) {
    if (std::isfinite(value)) return add_word(fmt::format("{}", value));
    const std::string_view name = std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
    add_string(name);
}

void AttributeText::add_bytes(std::string_view value) {
    // Four characters for three bytes: more input than this would only be cut.
    add_string(to_base64(value.substr(0, bytes_max_)));
}

void AttributeText::add_null() {
    if (!open_.empty()) add_word("null");
}

void AttributeText::open(char bracket) {
    if (is_full()) return;
    separate();
    text_ += bracket;
    open_ += bracket == '[' ? ']' : '}';
    first_ = true;
}

void AttributeText::close() {
    if (is_full() || open_.empty()) return;
    text_ += open_.back();
    open_.pop_back();
    first_ = false;
}

void AttributeText::add_key(std::string_view key) {
    if (is_full()) return;
    add_quoted(key);
    text_ += ':';
    after_key_ = true;
}

std::string AttributeText::take() {
    return clean_text(text_, bytes_max_);
}

}  // namespace vigie::schemas::detail
