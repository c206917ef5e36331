#pragma once

#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "schemas/codec.h"
#include "schemas/json.h"

namespace vigie::schemas::detail {

// Makes a JSON object of a value. Only for schemas/*.cc.
class Writer {
public:
    template <class T>
    static Json write(const T& value) {
        Writer writer;
        describe(writer, value);
        return std::move(writer.object_);
    }

    template <class T>
    void field(const char* name, const T& value) {
        object_[name] = to_json(value);
    }
    template <class T>
    void field(const char* name, const std::optional<T>& value) {
        if (value) object_[name] = to_json(*value);
    }

private:
    static Json to_json(const std::string& value) { return value; }
    static Json to_json(bool value) { return value; }
    static Json to_json(std::int64_t value) { return value; }
    static Json to_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
    static Json to_json(std::chrono::seconds value) { return value.count(); }
    static Json to_json(EventTime value) { return to_rfc3339(value); }
    template <class Tag>
    static Json to_json(const Id<Tag>& value) {
        return value.value;
    }
    static Json to_json(const std::map<std::string, std::string>& value) { return value; }
    static Json to_json(const Labels& value) {
        Json object = Json::object();
        for (const auto& [name, text] : value) object[name] = text;
        return object;
    }
    template <class T>
        requires kIsList<T>
    static Json to_json(const T& value) {
        Json array = Json::array();
        for (const auto& item : value) array.push_back(to_json(item));
        return array;
    }
    template <class T>
        requires std::is_enum_v<T>
    static Json to_json(T value) {
        return std::string(name_of(value));
    }
    template <class T>
        requires(std::is_class_v<T> && !kIsList<T>)
    static Json to_json(const T& value) {
        return write(value);
    }

    Json object_ = Json::object();
};

}  // namespace vigie::schemas::detail
