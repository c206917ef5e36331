#include "streams/context.h"

#include <catch2/catch.hpp>

namespace vigie::streams {

namespace {

class CountingStore final : public Store {
public:
    Result<std::optional<std::string>> get(std::string_view key) const override {
        ++reads;
        const auto found = rows.find(key);
        if (found == rows.end()) return std::nullopt;
        return found->second;
    }
    Status scan(std::string_view, const Visitor&) const override { return {}; }

    std::map<std::string, std::string, std::less<>> rows;
    mutable int reads = 0;
};

using Value = std::optional<std::string>;

}  // namespace

TEST_CASE("context: a row is read from the store once", "[streams]") {
    CountingStore store;
    store.rows["ua"] = "1";
    StepContext context(store, kMessageBytesMax);
    for (int i = 0; i < 3; ++i) {
        CHECK(*context.get("a") == Value("1"));
        CHECK(*context.get("absent") == std::nullopt);
    }
    CHECK(store.reads == 2);
    context.put("a", "2");
    context.erase("absent");
    context.put("new", "3");
    const Changes changes = context.take_changes();
    CHECK(changes.at("ua") == Value("2"));
    // Committed: the store has it, and nobody asks.
    CHECK(*context.get("a") == Value("2"));
    CHECK(*context.get("absent") == std::nullopt);
    CHECK(*context.get("new") == Value("3"));
    CHECK(store.reads == 2);
}

TEST_CASE("context: what is rolled back is not remembered", "[streams]") {
    CountingStore store;
    store.rows["ua"] = "1";
    StepContext context(store, kMessageBytesMax);
    context.begin();
    context.put("a", "2");
    CHECK(*context.get("a") == Value("2"));
    context.roll_back();
    CHECK(*context.get("a") == Value("1"));
    CHECK_FALSE(context.take_changes().contains("ua"));
    CHECK(*context.get("a") == Value("1"));
}

TEST_CASE("context: what it remembers is bounded", "[streams]") {
    CountingStore store;
    StepContext context(store, kMessageBytesMax);
    const std::string large(std::size_t{1} << 20U, 'x');
    store.rows["ularge"] = large;
    CHECK(*context.get("large") == Value(large));
    CHECK(*context.get("large") == Value(large));
    CHECK(store.reads == 2);
    // A row that grows too large is not remembered as it was.
    context.put("grows", "small");
    context.take_changes();
    context.put("grows", large);
    store.rows["ugrows"] = large;
    context.take_changes();
    CHECK(*context.get("grows") == Value(large));
    CHECK(store.reads == 3);

    for (int i = 0; i < 200; ++i) {
        const std::string name = "row" + std::to_string(i);
        store.rows["u" + name] = std::string(100'000, 'y');
        CHECK(*context.get(name) == Value(store.rows["u" + name]));
    }
    const int before = store.reads;
    CHECK(*context.get("row199") == Value(store.rows["urow199"]));
    CHECK(store.reads == before);
    CHECK(*context.get("row0") == Value(store.rows["urow0"]));
    CHECK(store.reads == before + 1);
}

}  // namespace vigie::streams
