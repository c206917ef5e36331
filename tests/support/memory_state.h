#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/state.h"

namespace vigie::test {

// State in a map. A test that needs a step to fail keeps a copy of `rows` and puts it back.
class MemoryState final : public State {
public:
    Result<std::optional<std::string>> get(std::string_view key) const override {
        const auto it = rows.find(key);
        if (it == rows.end()) return std::nullopt;
        return it->second;
    }
    void put(std::string_view key, std::string value) override {
        rows.insert_or_assign(std::string(key), std::move(value));
    }
    void erase(std::string_view key) override {
        if (const auto it = rows.find(key); it != rows.end()) rows.erase(it);
    }
    Status scan(std::string_view prefix, const Visitor& visit) const override {
        for (auto it = rows.lower_bound(prefix); it != rows.end(); ++it) {
            if (!it->first.starts_with(prefix) || !visit(it->first, it->second)) break;
        }
        return {};
    }

    std::map<std::string, std::string, std::less<>> rows;
};

}  // namespace vigie::test
