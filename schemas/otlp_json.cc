#include "schemas/otlp_json.h"

#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "schemas/attribute_text.h"
#include "schemas/text.h"

namespace vigie::schemas::detail {

namespace {

const Json* member(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const Place& place) {
    if (place.parent == nullptr) return {};
    return fmt::format("{}/{}/{}", text_of(*place.parent), place.key, place.index);
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

Status add_value(const Json& value, const Place& place, AttributeText& text, int depth);

Status add_list(const Json& list, const Place& place, AttributeText& text, int depth) {
    text.open('[');
    VIGIE_TRY(for_each(list, "values", place, [&](const Json& item, const Place& at) {
        return add_value(item, at, text, depth + 1);
    }));
    text.close();
    return {};
}

Status add_map(const Json& map, const Place& place, AttributeText& text, int depth) {
    text.open('{');
    VIGIE_TRY(for_each(map, "values", place, [&](const Json& entry, const Place& at) -> Status {
        VIGIE_TRY_ASSIGN(const auto key, text_in(entry, "key", at));
        text.add_key(key);
        VIGIE_TRY_ASSIGN(const Json* value, object_in(entry, "value", at));
        if (value == nullptr) {
            text.add_null();
            return {};
        }
        return add_value(*value, at, text, depth + 1);
    }));
    text.close();
    return {};
}

Status add_value(const Json& value, const Place& place, AttributeText& text, int depth) {
    if (depth > kAttributeDepthMax) {
        return refuse(place, "value", fmt::format("nested deeper than {}", kAttributeDepthMax));
    }
    if (has(value, "stringValue")) {
        VIGIE_TRY_ASSIGN(const auto string, text_in(value, "stringValue", place));
        text.add_string(string);
    } else if (has(value, "boolValue")) {
        VIGIE_TRY_ASSIGN(const bool flag, bool_in(value, "boolValue", place));
        text.add_bool(flag);
    } else if (has(value, "intValue")) {
        VIGIE_TRY_ASSIGN(const std::int64_t number, int_in(value, "intValue", place));
        text.add_integer(number);
    } else if (has(value, "doubleValue")) {
        VIGIE_TRY_ASSIGN(const double number, double_in(value, "doubleValue", place));
        text.add_double(number);
    } else if (has(value, "bytesValue")) {
        // Base64 already.
        VIGIE_TRY_ASSIGN(const auto string, text_in(value, "bytesValue", place));
        text.add_string(string);
    } else if (has(value, "arrayValue")) {
        VIGIE_TRY_ASSIGN(const Json* list, object_in(value, "arrayValue", place));
        return add_list(*list, place, text, depth);
    } else if (has(value, "kvlistValue")) {
        VIGIE_TRY_ASSIGN(const Json* map, object_in(value, "kvlistValue", place));
        return add_map(*map, place, text, depth);
    } else {
        text.add_null();
    }
    return {};
}

}  // namespace

std::unexpected<Error> refuse(const Place& place, const char* key, std::string_view what) {
    const std::string_view slash = *key == '\0' ? "" : "/";
    return fail(ErrorKind::kInvalid,
                fmt::format("OTLP JSON: {}{}{}: {}", text_of(place), slash, key, what));
}

bool has(const Json& object, const char* key) {
    return member(object, key) != nullptr;
}

std::optional<std::uint64_t> read_uint(const Json& json) {
    if (json.is_number_unsigned()) return json.get<std::uint64_t>();
    if (const auto* text = json.get_ptr<const std::string*>()) {
        return parse_number<std::uint64_t>(*text);
    }
    const auto number = read_int(json);
    if (!number || *number < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*number);
}

std::optional<std::int64_t> read_int(const Json& json) {
    if (const auto* text = json.get_ptr<const std::string*>()) {
        return parse_number<std::int64_t>(*text);
    }
    return integer_at(json, "");
}

std::optional<double> read_double(const Json& json) {
    if (json.is_number()) return json.get<double>();
    const auto* text = json.get_ptr<const std::string*>();
    if (text == nullptr) return std::nullopt;
    if (*text == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (*text == "Infinity") return std::numeric_limits<double>::infinity();
    if (*text == "-Infinity") return -std::numeric_limits<double>::infinity();
    const auto number = parse_number<double>(*text);
    return number && std::isfinite(*number) ? number : std::nullopt;
}

Result<std::uint64_t> uint_in(const Json& object, const char* key, const Place& place) {
    const Json* found = member(object, key);
    if (found == nullptr) return std::uint64_t{0};
    const auto number = read_uint(*found);
    if (!number) return refuse(place, key, "not an unsigned integer of 64 bits");
    return *number;
}

Result<std::int64_t> int_in(const Json& object, const char* key, const Place& place) {
    const Json* found = member(object, key);
    if (found == nullptr) return std::int64_t{0};
    const auto number = read_int(*found);
    if (!number) return refuse(place, key, "not an integer of 64 bits");
    return *number;
}

Result<double> double_in(const Json& object, const char* key, const Place& place) {
    const Json* found = member(object, key);
    if (found == nullptr) return 0.0;
    const auto number = read_double(*found);
    if (!number) return refuse(place, key, "not a number");
    return *number;
}

Result<bool> bool_in(const Json& object, const char* key, const Place& place) {
    const Json* found = member(object, key);
    if (found == nullptr) return false;
    if (!found->is_boolean()) return refuse(place, key, "not true or false");
    return found->get<bool>();
}

Result<std::string_view> text_in(const Json& object, const char* key, const Place& place) {
    const Json* found = member(object, key);
    if (found == nullptr) return std::string_view{};
    if (!found->is_string()) return refuse(place, key, "not text");
    return std::string_view(found->get_ref<const std::string&>());
}

Result<EventTime> time_in(const Json& object, const char* key, const Place& place) {
    VIGIE_TRY_ASSIGN(const std::uint64_t nanos, uint_in(object, key, place));
    return event_time_from_micros(static_cast<std::int64_t>(nanos / 1000));
}

Result<std::string> id_in(const Json& object, const char* key, std::size_t digits,
                          const Place& place) {
    VIGIE_TRY_ASSIGN(const std::string_view text, text_in(object, key, place));
    if (text.empty()) return std::string();
    if (text.size() != digits || !is_hex(text)) {
        return refuse(place, key, fmt::format("not an id of {} hex digits", digits));
    }
    if (text.find_first_not_of('0') == std::string_view::npos) return std::string();
    return lower(text);
}

Result<const Json*> object_in(const Json& object, const char* key, const Place& place) {
    const Json* found = member(object, key);
    if (found != nullptr && !found->is_object()) return refuse(place, key, "not an object");
    return found;
}

Result<const Json*> array_in(const Json& object, const char* key, const Place& place) {
    const Json* found = member(object, key);
    if (found != nullptr && !found->is_array()) return refuse(place, key, "not an array");
    return found;
}

Result<std::string> any_text_in(const Json& object, const char* key, const Place& place,
                                const Budget& budget) {
    VIGIE_TRY_ASSIGN(const Json* value, object_in(object, key, place));
    if (value == nullptr) return std::string();
    AttributeText text(budget.limits().label_bytes_max);
    VIGIE_TRY(add_value(*value, place, text, 1));
    return text.take();
}

Result<Labels> attributes_in(const Json& object, const char* key, const Place& place,
                             const Budget& budget) {
    Labels labels;
    const Status read =
        for_each(object, key, place, [&](const Json& attribute, const Place& at) -> Status {
            VIGIE_TRY(budget.check_count(labels));
            VIGIE_TRY_ASSIGN(const auto name, text_in(attribute, "key", at));
            VIGIE_TRY_ASSIGN(std::string value, any_text_in(attribute, "value", at, budget));
            labels.emplace_back(clean_label(name, budget), std::move(value));
            return {};
        });
    VIGIE_TRY(read);
    return labels;
}

}  // namespace vigie::schemas::detail
