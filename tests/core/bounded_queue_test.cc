#include "core/bounded_queue.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

namespace vigie {

TEST_CASE("bounded queue: full is said at once and leaves the item with the caller", "[core]") {
    BoundedQueue<std::unique_ptr<int>> queue(1);
    auto first = std::make_unique<int>(1);
    auto second = std::make_unique<int>(2);
    REQUIRE(queue.try_push(first).has_value());
    CHECK(first == nullptr);
    CHECK(queue.try_push(second).error().kind == ErrorKind::kOverloaded);
    REQUIRE(second != nullptr);
    CHECK(**queue.pop() == 1);
    CHECK(queue.try_push(second).has_value());
    CHECK(queue.size() == 1);
}

TEST_CASE("bounded queue: closing delivers what is inside, then ends", "[core]") {
    BoundedQueue<int> queue(2);
    int item = 7;
    REQUIRE(queue.try_push(item).has_value());
    queue.close();
    CHECK(queue.try_push(item).error().kind == ErrorKind::kCancelled);
    CHECK(queue.pop() == 7);
    CHECK(queue.pop() == std::nullopt);
}

TEST_CASE("bounded queue: readers and writers on threads lose nothing", "[core]") {
    BoundedQueue<int> queue(3);
    std::atomic<long> sum{0};
    {
        std::vector<std::jthread> readers;
        for (int i = 0; i < 2; ++i) {
            readers.emplace_back([&] {
                while (const auto item = queue.pop()) sum += *item;
            });
        }
        {
            std::vector<std::jthread> writers;
            for (int i = 0; i < 2; ++i) {
                writers.emplace_back([&] {
                    for (int n = 1; n <= 1000; ++n) {
                        while (!queue.try_push(n)) std::this_thread::yield();
                    }
                });
            }
        }
        queue.close();
    }
    CHECK(sum == 2L * 1000 * 1001 / 2);
}

}  // namespace vigie
