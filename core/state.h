#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace vigie {

// Ordered keys with byte values: what a deterministic part remembers between two records. Reads
// see what was written earlier in the same step. Not thread-safe: the worker that owns the
// partition owns its state. streams/ makes the changes durable together with the outputs and
// the input position; a part that sees only core/ can be given it too.
class State {
public:
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    virtual ~State() = default;

    // nullopt when the key is absent: that is an answer, not an error.
    virtual Result<std::optional<std::string>> get(std::string_view key) const = 0;
    virtual void put(std::string_view key, std::string value) = 0;
    virtual void erase(std::string_view key) = 0;

    // Calls `visit` in ascending key order for the keys that start with `prefix`, until it
    // returns false. `visit` must not change the state.
    using Visitor = std::function<bool(std::string_view key, std::string_view value)>;
    virtual Status scan(std::string_view prefix, const Visitor& visit) const = 0;
};

}  // namespace vigie
