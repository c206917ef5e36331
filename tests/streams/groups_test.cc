#include "streams/groups.h"

#include <catch2/catch.hpp>

namespace vigie::streams {

namespace {

std::vector<std::int32_t> indexes(const Groups& groups, Groups::MemberId member) {
    std::vector<std::int32_t> indexes;
    for (const auto& [partition, epoch] : groups.owned(member)) indexes.push_back(partition.index);
    return indexes;
}

}  // namespace

TEST_CASE("groups: partitions are dealt in ranges, the first members get one more", "[streams]") {
    Groups groups;
    const auto a = groups.join("g", {{"t", 5}});
    const auto b = groups.join("g", {{"t", 5}});
    const auto c = groups.join("g", {{"t", 5}});
    CHECK(indexes(groups, a) == std::vector<std::int32_t>{0, 1});
    CHECK(indexes(groups, b) == std::vector<std::int32_t>{2, 3});
    CHECK(indexes(groups, c) == std::vector<std::int32_t>{4});
    groups.leave(b);
    CHECK(indexes(groups, a) == std::vector<std::int32_t>{0, 1, 2});
    CHECK(indexes(groups, c) == std::vector<std::int32_t>{3, 4});
    CHECK(groups.owned(b).empty());
}

TEST_CASE("groups: a partition that moves and comes back has another epoch", "[streams]") {
    Groups groups;
    const auto a = groups.join("g", {{"t", 2}});
    const auto before = groups.owned(a);
    const auto b = groups.join("g", {{"t", 2}});
    CHECK_FALSE(groups.owns(a, {"t", 1}, before.at({"t", 1})));
    CHECK(groups.owns(a, {"t", 0}, before.at({"t", 0})));
    groups.leave(b);
    CHECK_FALSE(groups.owns(a, {"t", 1}, before.at({"t", 1})));
    const auto diff = diff_assignment(before, groups.owned(a));
    CHECK(diff.revoked == std::vector<Partition>{{"t", 1}});
    REQUIRE(diff.assigned.size() == 1);
    CHECK(groups.owns(a, {"t", 1}, diff.assigned.begin()->second));
}

TEST_CASE("groups: groups and topics are dealt apart", "[streams]") {
    Groups groups;
    const auto a = groups.join("g", {{"t", 1}, {"u", 1}});
    const auto b = groups.join("g", {{"u", 1}});
    const auto c = groups.join("h", {{"t", 1}});
    CHECK(groups.owned(a).size() == 2);
    CHECK(groups.owned(b).empty());
    CHECK(groups.owned(c).size() == 1);
    groups.leave(a);
    groups.leave(a);
    CHECK(groups.owned(b).size() == 1);
    CHECK_FALSE(groups.owns(a, {"t", 0}, 1));
}

}  // namespace vigie::streams
