#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "core/rng.h"
#include "tests/streams/fixture.h"

namespace vigie::streams {

using namespace std::chrono_literals;
using Values = std::vector<std::string>;

namespace {

void say(Context& context, std::string value) {
    context.emit(message("", std::move(value), 0, "out"));
}

std::int64_t seconds_of(EventTime time) {
    return micros_of(time) / 1'000'000;
}

// Obeys values such as "set a 10", "cancel a", "x"; says what it sees with the watermark.
Status obey(const Record& record, Context& context) {
    const std::string& value = record.message.value;
    say(context, value + "@" + std::to_string(seconds_of(context.watermark())));
    if (value.starts_with("set ")) {
        context.set_timer(value.substr(4, 1), at(std::stoll(value.substr(6))));
    }
    if (value.starts_with("cancel ")) context.cancel_timer(value.substr(7));
    return {};
}

Status say_timer(std::string_view name, EventTime time, Context& context) {
    say(context, fmt::format("{}:{}@{}", name, seconds_of(time), seconds_of(context.watermark())));
    return {};
}

}  // namespace

TEST_CASE("timers: due ones fire in (time, name) order before the record that is due",
          "[streams]") {
    Fixture f;
    f.send({message("", "set c 10", 1), message("", "set b 10", 2), message("", "set a 11", 3),
            message("", "x", 9), message("", "y", 10), message("", "z", 11)});
    Fixture::drain(*f.open(f.options(obey, say_timer)));
    CHECK(f.values("out") == Values{"set c 10@1", "set b 10@2", "set a 11@3", "x@9", "b:10@10",
                                    "c:10@10", "y@10", "a:11@11", "z@11"});
}

TEST_CASE("timers: setting a name again moves it, cancelling removes it", "[streams]") {
    Fixture f;
    f.send({message("", "set a 10", 1), message("", "set a 20", 2), message("", "set b 10", 3),
            message("", "cancel b", 4), message("", "cancel q", 4), message("", "x", 15),
            message("", "y", 20), message("", "z", 30)});
    Fixture::drain(*f.open(f.options(obey, say_timer)));
    const auto out = f.values("out");
    CHECK(Values(out.begin() + 5, out.end()) == Values{"x@15", "a:20@20", "y@20", "z@30"});
}

TEST_CASE("timers: one set in the past fires before the next record, whatever its time",
          "[streams]") {
    Fixture f;
    f.send({message("", "x", 50), message("", "set a 10", 50), message("", "late", 20)});
    Fixture::drain(*f.open(f.options(obey, say_timer)));
    CHECK(f.values("out") == Values{"x@50", "set a 10@50", "a:10@50", "late@50"});
    CHECK_THAT(f.metrics.expose(),
               Catch::Contains("vigie_streams_records_late_total{stage=\"test\"} 1"));
}

TEST_CASE("timers: they survive the worker and fire once", "[streams]") {
    Fixture f;
    f.send({message("", "set a 10", 1)});
    Fixture::drain(*f.open(f.options(obey, say_timer)));
    f.send({message("", "x", 10)});
    Fixture::drain(*f.open(f.options(obey, say_timer)));
    f.send({message("", "y", 20)});
    Fixture::drain(*f.open(f.options(obey, say_timer)));
    CHECK(f.values("out") == Values{"set a 10@1", "a:10@10", "x@10", "y@20"});
    CHECK(f.bus.state("test", {"in", 0}).size() == 1);  // Only the watermark.
}

TEST_CASE("timers: a handler may set timers that are due too, up to the bound", "[streams]") {
    Fixture f;
    auto options =
        f.options(obey, [](std::string_view name, EventTime time, Context& context) -> Status {
            VIGIE_TRY(say_timer(name, time, context));
            context.set_timer(name, time + 1s);
            return {};
        });
    options.timers_per_record_max = 5;
    f.send({message("", "set a 1", 1), message("", "x", 3), message("", "y", 10),
            message("", "z", 10)});
    Fixture::drain(*f.open(options));
    CHECK(f.values("out") == Values{"set a 1@1", "a:1@3", "a:2@3", "a:3@3", "x@3",     //
                                    "a:4@10", "a:5@10", "a:6@10", "a:7@10", "a:8@10",  //
                                    "y@10", "a:9@10", "a:10@10", "z@10"});
    CHECK_THAT(f.metrics.expose(),
               Catch::Contains("vigie_streams_timers_deferred_total{stage=\"test\"} 1"));
}

TEST_CASE("timers: one whose handler refuses it is gone and leaves a dead letter", "[streams]") {
    Fixture f;
    f.send({message("", "set a 5", 1), message("", "set b 5", 2), message("", "x", 9)});
    Fixture::drain(*f.open(
        f.options(obey, [](std::string_view name, EventTime time, Context& context) -> Status {
            VIGIE_TRY(say_timer(name, time, context));
            context.put("by-" + std::string(name), "1");
            context.set_timer("other", at(100));
            if (name == "a") return fail(ErrorKind::kInvalid, "bad timer");
            return {};
        })));
    CHECK(f.values("out") == Values{"set a 5@1", "set b 5@2", "b:5@9", "x@9"});
    const auto state = f.bus.state("test", {"in", 0});
    CHECK_FALSE(state.contains("uby-a"));
    CHECK(state.contains("uby-b"));
    CHECK_FALSE(state.contains("ta"));
    const auto letters = f.bus.records("vigie.deadletter");
    REQUIRE(letters.size() == 1);
    CHECK(
        letters[0].message.headers ==
        Headers{{"reason", "bad timer"}, {"origin", "in/0@2"}, {"stage", "test"}, {"timer", "a"}});
}

TEST_CASE("watermark: it is the highest event time minus the lateness, and never falls",
          "[streams]") {
    Fixture f;
    auto options = f.options(obey, say_timer);
    options.lateness_max = 5s;
    f.send({message("", "a", 3), message("", "b", 20), message("", "c", 16), message("", "d", 15),
            message("", "e", 14)});
    Fixture::drain(*f.open(options));
    CHECK(f.values("out") == Values{"a@0", "b@15", "c@15", "d@15", "e@15"});
    // At the watermark is in time; one before it is late.
    CHECK_THAT(f.metrics.expose(),
               Catch::Contains("vigie_streams_records_late_total{stage=\"test\"} 1"));
}

TEST_CASE("watermark: a restart continues from it", "[streams]") {
    Fixture f;
    f.send({message("", "a", 20)});
    Fixture::drain(*f.open(f.options(obey, say_timer)));
    f.send({message("", "b", 5)});
    Fixture::drain(*f.open(f.options(obey, say_timer)));
    CHECK(f.values("out") == Values{"a@20", "b@20"});
}

TEST_CASE("watermark: nonsense times do no harm", "[streams]") {
    Fixture f;
    auto options = f.options(obey, say_timer);
    options.lateness_max = 5s;
    Message first = message("", "first", 0);
    first.event_time = EventTime::min();
    Message last = message("", "last", 0);
    last.event_time = EventTime::max();
    f.send({first, message("", "a", 7), last, message("", "b", 8)});
    Fixture::drain(*f.open(options));
    CHECK(f.values("out").size() == 4);
    CHECK(f.values("out")[1] == "a@2");
}

TEST_CASE("worker: results depend on the records only, not on batches or restarts", "[streams]") {
    // Records that set, move and cancel timers, are late, and are refused.
    const auto scenario = [] {
        Rng rng(11);
        std::vector<Message> messages;
        for (int i = 0; i < 400; ++i) {
            const auto time = static_cast<std::int64_t>(i + 10 - static_cast<int>(rng.below(20)));
            const std::string name(1, static_cast<char>('a' + rng.below(5)));
            std::string value = "x" + std::to_string(i);
            if (rng.chance(400)) {
                value = "set " + name + " " +
                        std::to_string(time + static_cast<int>(rng.below(30)) - 5);
            }
            if (rng.chance(100)) value = "cancel " + name;
            if (rng.chance(100)) value = "bad";
            messages.push_back(message(name, value, std::max<std::int64_t>(time, 0)));
        }
        return messages;
    }();
    const auto on_record = [](const Record& record, Context& context) -> Status {
        VIGIE_TRY(obey(record, context));
        VIGIE_TRY_ASSIGN(const auto before, context.get(record.message.key));
        context.put(record.message.key, std::to_string(before ? std::stoi(*before) + 1 : 1));
        if (record.message.value == "bad") return fail(ErrorKind::kInvalid, "bad");
        return {};
    };
    const auto on_timer = [](std::string_view name, EventTime time, Context& context) -> Status {
        VIGIE_TRY(say_timer(name, time, context));
        if (seconds_of(time) % 3 == 0) context.set_timer("again", time + 4s);
        if (seconds_of(time) % 7 == 0) return fail(ErrorKind::kInvalid, "seven");
        return {};
    };
    const auto run = [&](std::size_t records_max, bool reopen_often) {
        Fixture f;
        f.send(scenario);
        auto options = f.options(on_record, on_timer);
        options.lateness_max = 3s;
        options.timers_per_record_max = 2;
        auto worker = f.open(options);
        while (*worker->step({.records_max = records_max, .wait_max = 0ms}) != 0) {
            if (!reopen_often) continue;
            worker.reset();
            worker = f.open(options);
        }
        return std::tuple{f.values("out"), f.values("vigie.deadletter"),
                          f.bus.state("test", {"in", 0})};
    };
    const auto expected = run(1000, false);
    CHECK(std::get<0>(expected).size() > 400);
    CHECK(std::get<1>(expected).size() > 20);
    for (const std::size_t records_max : {1U, 2U, 7U, 100U}) {
        CHECK(run(records_max, false) == expected);
        CHECK(run(records_max, true) == expected);
    }
}

}  // namespace vigie::streams
