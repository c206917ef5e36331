#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace vigie::streams {

// nullopt means: erase the key.
using Changes = std::map<std::string, std::optional<std::string>, std::less<>>;

// The durable state of one group behind ONE partition: ordered keys, byte values. Written only
// through Consumer::commit. Not thread-safe: the worker that owns the partition owns the store;
// others learn its content through a topic.
class Store {
public:
    Store() = default;
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;
    virtual ~Store() = default;

    // nullopt when the key is absent; that is an answer, not an error. kCorrupt when the stored
    // bytes fail their check or carry an unknown format version.
    virtual Result<std::optional<std::string>> get(std::string_view key) const = 0;

    // Calls `visit` in ascending key order for keys starting with `prefix`, until it returns
    // false.
    using Visitor = std::function<bool(std::string_view key, std::string_view value)>;
    virtual Status scan(std::string_view prefix, const Visitor& visit) const = 0;
};

}  // namespace vigie::streams
