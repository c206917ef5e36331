#pragma once

#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "schemas/codec.h"
#include "schemas/json.h"

namespace vigie::schemas::detail {

// Reads what has passed its schema; what a schema cannot say is checked here. Fields that are
// not there keep the value they have. Only for schemas/*.cc.
class Reader {
public:
    template <class T>
    static Result<T> read(const Json& json, std::string_view place) {
        T value{};
        std::optional<Error> error;
        Reader reader(json, std::string(place), error);
        describe(reader, value);
        if (error) return fail(*std::move(error));
        return value;
    }

    template <class T>
    void field(const char* name, T& value) {
        const auto found = json_.find(name);
        if (found != json_.end()) from_json(*found, value, fmt::format("{}/{}", place_, name));
    }
    template <class T>
    void field(const char* name, std::optional<T>& value) {
        if (json_.contains(name)) field(name, value.emplace());
    }

private:
    Reader(const Json& json, std::string place, std::optional<Error>& error)
        : json_(json), place_(std::move(place)), error_(error) {}

    void refuse(const std::string& place, std::string_view what) {
        if (!error_) error_ = Error{ErrorKind::kInvalid, fmt::format("{}: {}", place, what)};
    }

    void from_json(const Json& json, std::string& value, const std::string& place) {
        if (!json.is_string()) return refuse(place, "not text");
        value = json.get_ref<const std::string&>();
    }
    void from_json(const Json& json, bool& value, const std::string& place) {
        if (!json.is_boolean()) return refuse(place, "not true or false");
        value = json.get<bool>();
    }
    void from_json(const Json& json, std::int64_t& value, const std::string& place) {
        const auto number = integer_at(json, "");
        if (!number) return refuse(place, "not an integer of 64 bits");
        value = *number;
    }
    void from_json(const Json& json, double& value, const std::string& place) {
        if (json.is_null()) {
            value = std::numeric_limits<double>::quiet_NaN();
        } else if (json.is_number()) {
            value = json.get<double>();
        } else {
            refuse(place, "not a number");
        }
    }
    void from_json(const Json& json, std::chrono::seconds& value, const std::string& place) {
        std::int64_t count = value.count();
        from_json(json, count, place);
        value = std::chrono::seconds{count};
    }
    void from_json(const Json& json, EventTime& value, const std::string& place) {
        const auto* text = json.get_ptr<const std::string*>();
        if (text == nullptr) return refuse(place, "not text");
        const auto time = parse_rfc3339(*text);
        if (!time) return refuse(place, time.error().message);
        value = *time;
    }
    template <class Tag>
    void from_json(const Json& json, Id<Tag>& value, const std::string& place) {
        from_json(json, value.value, place);
    }
    void from_json(const Json& json, std::map<std::string, std::string>& value,
                   const std::string& place) {
        if (!json.is_object()) return refuse(place, "not an object");
        for (const auto& [key, text] : json.items()) from_json(text, value[key], place);
    }
    void from_json(const Json& json, Labels& value, const std::string& place) {
        if (!json.is_object()) return refuse(place, "not an object");
        // Objects are sorted by key, as labels are.
        for (const auto& [key, text] : json.items()) {
            from_json(text, value.emplace_back(key, std::string()).second, place);
        }
    }
    template <class T>
        requires kIsList<T>
    void from_json(const Json& json, T& value, const std::string& place) {
        if (!json.is_array()) return refuse(place, "not an array");
        value.clear();
        for (const auto& item : json) {
            const std::string item_place = fmt::format("{}/{}", place, value.size());
            from_json(item, value.emplace_back(), item_place);
        }
    }
    template <class T>
        requires std::is_enum_v<T>
    void from_json(const Json& json, T& value, const std::string& place) {
        const auto* text = json.get_ptr<const std::string*>();
        const auto parsed = text == nullptr ? std::nullopt : parse_name<T>(*text);
        if (!parsed) return refuse(place, "not one of the allowed values");
        value = *parsed;
    }
    template <class T>
        requires(std::is_class_v<T> && !kIsList<T>)
    void from_json(const Json& json, T& value, const std::string& place) {
        if (!json.is_object()) return refuse(place, "not an object");
        Reader reader(json, place, error_);
        describe(reader, value);
    }

    const Json& json_;
    std::string place_;
    std::optional<Error>& error_;
};

}  // namespace vigie::schemas::detail
