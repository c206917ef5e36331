#include <algorithm>
#include <array>
#include <cmath>
#include <regex>

#include <fmt/format.h>

#include "schemas/json.h"

namespace vigie::schemas {

namespace {

constexpr std::size_t kRefDepthMax = 256;
constexpr std::size_t kPatternLengthMax = 1024;  // std::regex recurses once for each character.

constexpr std::array<std::string_view, 19> kChecked{
    "type",     "required",  "properties", "additionalProperties",
    "items",    "enum",      "const",      "minimum",
    "maximum",  "minLength", "pattern",    "maxLength",
    "minItems", "maxItems",  "$ref",       "$defs",
    "$schema",  "$id",       "$comment"};
constexpr std::array<std::string_view, 5> kAnnotations{"title", "description", "default",
                                                       "examples", "format"};

bool is_integer(const Json& value) {
    if (value.is_number_integer()) return true;
    return value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>();
}

bool has_type(const Json& value, const std::string& type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "number") return value.is_number();
    if (type == "integer") return is_integer(value);
    if (type == "boolean") return value.is_boolean();
    VIGIE_ASSERT(type == "null");
    return value.is_null();
}

std::size_t count_code_points(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
    }));
}

std::string escape(std::string_view key) {
    std::string text;
    for (const char c : key.substr(0, 128)) {
        if (c == '~')
            text += "~0";
        else if (c == '/')
            text += "~1";
        else
            text += c;
    }
    return text;
}

class Validator {
public:
    explicit Validator(const Json& root) : root_(root) {}

    Status check(const Json& value, const Json& schema, const std::string& place) {
        VIGIE_ASSERT(++depth_ <= kRefDepthMax);
        const Status status = check_all(value, schema, place);
        --depth_;
        return status;
    }

private:
    static std::unexpected<Error> refuse(const std::string& place, std::string_view what) {
        return fail(ErrorKind::kInvalid, fmt::format("{}: {}", place.empty() ? "/" : place, what));
    }

    Status check_all(const Json& value, const Json& schema, const std::string& place) {
        if (schema.is_boolean()) {
            if (schema.get<bool>()) return {};
            return refuse(place, "not allowed here");
        }
        assert_keywords(schema);
        if (const auto ref = schema.find("$ref"); ref != schema.end()) {
            VIGIE_TRY(check(value, resolve(ref->get_ref<const std::string&>()), place));
        }
        VIGIE_TRY(check_any(value, schema, place));
        if (value.is_number()) return check_number(value, schema, place);
        if (value.is_string()) return check_string(value, schema, place);
        if (value.is_array()) return check_array(value, schema, place);
        if (value.is_object()) return check_object(value, schema, place);
        return {};
    }

    static void assert_keywords(const Json& schema) {
        for (const auto& [keyword, rule] : schema.items()) {
            const bool known = std::ranges::find(kChecked, keyword) != kChecked.end() ||
                               std::ranges::find(kAnnotations, keyword) != kAnnotations.end();
            VIGIE_ASSERT(known);
        }
    }

    const Json& resolve(const std::string& ref) const {
        VIGIE_ASSERT(ref.starts_with("#/$defs/"));
        const Json* found = find(root_, std::string_view(ref).substr(1));
        VIGIE_ASSERT(found != nullptr);
        return *found;
    }

    static Status check_any(const Json& value, const Json& schema, const std::string& place) {
        if (const auto rule = schema.find("type"); rule != schema.end()) {
            const bool one =
                rule->is_array()
                    ? std::ranges::any_of(
                          *rule, [&value](const Json& type) { return has_type(value, type); })
                    : has_type(value, *rule);
            if (!one) return refuse(place, fmt::format("not of type {}", dump_json(*rule)));
        }
        if (const auto rule = schema.find("enum"); rule != schema.end()) {
            if (std::ranges::find(*rule, value) == rule->end()) {
                return refuse(place, "not one of the allowed values");
            }
        }
        if (const auto rule = schema.find("const"); rule != schema.end() && *rule != value) {
            return refuse(place, fmt::format("must be {}", dump_json(*rule)));
        }
        return {};
    }

    static Status check_number(const Json& value, const Json& schema, const std::string& place) {
        // The library compares numbers of any kind by value.
        if (const auto rule = schema.find("minimum"); rule != schema.end() && value < *rule) {
            return refuse(place, fmt::format("less than {}", dump_json(*rule)));
        }
        if (const auto rule = schema.find("maximum"); rule != schema.end() && value > *rule) {
            return refuse(place, fmt::format("more than {}", dump_json(*rule)));
        }
        return {};
    }

    static Status check_string(const Json& value, const Json& schema, const std::string& place) {
        const auto& text = value.get_ref<const std::string&>();
        const auto shortest = schema.find("minLength");
        const auto longest = schema.find("maxLength");
        const auto pattern = schema.find("pattern");
        if (shortest == schema.end() && longest == schema.end() && pattern == schema.end())
            return {};
        const auto length = count_code_points(text);
        if (shortest != schema.end() && length < shortest->get<std::size_t>()) {
            return refuse(place, fmt::format("shorter than {} characters", dump_json(*shortest)));
        }
        if (longest != schema.end() && length > longest->get<std::size_t>()) {
            return refuse(place, fmt::format("longer than {} characters", dump_json(*longest)));
        }
        if (pattern == schema.end()) return {};
        VIGIE_ASSERT(longest != schema.end() && *longest <= kPatternLengthMax);
        const auto& expression = pattern->get_ref<const std::string&>();
        const auto matched = search(text, expression);
        if (!matched) return refuse(place, fmt::format("does not match {}", expression));
        return {};
    }

    static bool search(const std::string& text, const std::string& expression) {
        try {
            return std::regex_search(text, std::regex(expression, std::regex::ECMAScript));
        } catch (const std::regex_error&) {
            VIGIE_ASSERT(false && "a pattern in a schema is not a regular expression");
        }
    }

    Status check_array(const Json& value, const Json& schema, const std::string& place) {
        if (const auto rule = schema.find("minItems");
            rule != schema.end() && value.size() < rule->get<std::size_t>()) {
            return refuse(place, fmt::format("fewer than {} items", dump_json(*rule)));
        }
        if (const auto rule = schema.find("maxItems");
            rule != schema.end() && value.size() > rule->get<std::size_t>()) {
            return refuse(place, fmt::format("more than {} items", dump_json(*rule)));
        }
        const auto items = schema.find("items");
        if (items == schema.end()) return {};
        for (std::size_t i = 0; i < value.size(); ++i) {
            VIGIE_TRY(check(value[i], *items, fmt::format("{}/{}", place, i)));
        }
        return {};
    }

    Status check_object(const Json& value, const Json& schema, const std::string& place) {
        if (const auto required = schema.find("required"); required != schema.end()) {
            for (const auto& name : *required) {
                if (!value.contains(name.get_ref<const std::string&>())) {
                    return refuse(place, fmt::format("{} is missing", dump_json(name)));
                }
            }
        }
        const auto properties = schema.find("properties");
        const auto others = schema.find("additionalProperties");
        for (const auto& [key, member] : value.items()) {
            const Json* rule = nullptr;
            if (properties != schema.end() && properties->contains(key)) {
                rule = &(*properties)[key];
            } else if (others != schema.end()) {
                rule = &*others;
            }
            if (rule == nullptr) continue;
            VIGIE_TRY(check(member, *rule, fmt::format("{}/{}", place, escape(key))));
        }
        return {};
    }

    const Json& root_;
    std::size_t depth_ = 0;
};

}  // namespace

Status validate(const Json& value, const Json& schema, std::string_view place) {
    return Validator(schema).check(value, schema, std::string(place));
}

}  // namespace vigie::schemas
