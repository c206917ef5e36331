#include "streams/worker.h"

#include <catch2/catch.hpp>

#include "tests/streams/fixture.h"

namespace vigie::streams {

using namespace std::chrono_literals;
using Values = std::vector<std::string>;

namespace {

Status echo(const Record& record, Context& context) {
    context.emit(message("", record.message.value, 0, "out"));
    return {};
}

// Emits "<record>=<how many records of its key so far>".
Status count(const Record& record, Context& context) {
    const std::string key = "n/" + record.message.key;
    VIGIE_TRY_ASSIGN(const auto before, context.get(key));
    const std::string n = std::to_string(before ? std::stoi(*before) + 1 : 1);
    context.put(key, n);
    context.emit(message("", record.message.value + "=" + n, 0, "out"));
    return {};
}

}  // namespace

TEST_CASE("worker: state and outputs of a step survive the worker", "[streams]") {
    Fixture f;
    f.send({message("a", "1", 1), message("b", "2", 2)});
    Fixture::drain(*f.open(f.options(count)));
    f.send({message("a", "3", 3)});
    Fixture::drain(*f.open(f.options(count)));

    CHECK(f.values("out") == Values{"1=1", "2=1", "3=2"});
    CHECK(*f.bus.group_position("test", {"in", 0}) == 3);
}

TEST_CASE("worker: an invalid record leaves only a dead letter", "[streams]") {
    Fixture f;
    const auto worker = f.open(f.options(
        [](const Record& record, Context& context) -> Status {
            const auto seen = context.get("seen");
            context.put("seen", seen->value_or("") + record.message.value);
            context.put("only-" + record.message.value, "x");
            context.set_timer("t", at(record.message.value == "bad" ? 1 : 100));
            context.emit(message("", seen->value_or(""), 0, "out"));
            if (record.message.value == "bad") return fail(ErrorKind::kInvalid, "not a number");
            return {};
        },
        [](std::string_view, EventTime, Context& context) -> Status {
            context.emit(message("", "timer", 0, "out"));
            return {};
        }));
    Message bad = message("k", "bad", 2);
    bad.headers = {{"content-type", "text/plain"}, {"reason", "of the sender"}};
    f.send({message("k", "a", 1), bad, message("k", "c", 3)});
    Fixture::drain(*worker);

    CHECK(f.values("out") == Values{"", "a"});
    const auto letters = f.bus.records("vigie.deadletter");
    REQUIRE(letters.size() == 1);
    const Message& letter = letters[0].message;
    CHECK(letter.key == "in");
    CHECK(letter.value == "bad");
    CHECK(letter.event_time == at(2));
    CHECK(letter.headers == Headers{{"reason", "not a number"},
                                    {"origin", "in/0@1"},
                                    {"stage", "test"},
                                    {"key", "k"},
                                    {"content-type", "text/plain"}});
    const auto state = f.bus.state("test", {"in", 0});
    CHECK(state.at("useen") == "ac");
    CHECK(state.contains("uonly-c"));
    CHECK_FALSE(state.contains("uonly-bad"));
    CHECK(f.metrics.expose().find("vigie_streams_dead_letters_total{stage=\"test\"} 1") !=
          std::string::npos);
}

TEST_CASE("worker: an error that is not kInvalid commits nothing and is tried again", "[streams]") {
    Fixture f;
    int calls = 0;
    const auto options = f.options([&](const Record& record, Context& context) -> Status {
        VIGIE_TRY(count(record, context));
        if (record.message.value == "2" && ++calls == 1) {
            return fail(ErrorKind::kUnavailable, "later");
        }
        return {};
    });
    f.send({message("a", "1", 1), message("a", "2", 2)});
    const auto failed = f.open(options)->step({.records_max = 500, .wait_max = 0ms});
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().message == "in/0: later");
    CHECK(f.values("out").empty());
    CHECK(f.bus.state("test", {"in", 0}).empty());

    Fixture::drain(*f.open(options));
    CHECK(f.values("out") == Values{"1=1", "2=2"});
}

TEST_CASE("worker: an output too large makes its record a dead letter", "[streams]") {
    Fixture f(1, {.seed = 1, .faults = {}, .message_bytes_max = 100});
    const auto worker = f.open(f.options([](const Record& record, Context& context) -> Status {
        context.put("k", record.message.value);
        context.emit(
            message("", std::string(record.message.value == "big" ? 101 : 100, 'x'), 0, "out"));
        return {};
    }));
    f.send({message("", "fits", 1), message("", "big", 2)});
    Fixture::drain(*worker);
    CHECK(f.values("out").size() == 1);
    CHECK(f.values("vigie.deadletter") == Values{"big"});
    CHECK(f.bus.state("test", {"in", 0}).at("uk") == "fits");
}

TEST_CASE("worker: a dead letter of a record at the size limit is cut, not lost", "[streams]") {
    Fixture f(1, {.seed = 1, .faults = {}, .message_bytes_max = 200});
    const auto worker = f.open(f.options(
        [](const Record&, Context&) -> Status { return fail(ErrorKind::kInvalid, "no"); }));
    f.send({message("", std::string(200, 'x'), 1)});
    Fixture::drain(*worker);
    const auto letters = f.bus.records("vigie.deadletter");
    REQUIRE(letters.size() == 1);
    CHECK(bytes_of(letters[0].message) == 200);
    CHECK(letters[0].message.headers.back() ==
          std::pair<std::string, std::string>{"value_bytes", "200"});
}

TEST_CASE("worker: a refused dead letter does not come back", "[streams]") {
    Fixture f;
    auto options = f.options(
        [](const Record&, Context&) -> Status { return fail(ErrorKind::kInvalid, "no"); });
    options.subscription.topics = {"vigie.deadletter"};
    f.send({message("", "x", 1, "vigie.deadletter")});
    Fixture::drain(*f.open(options));
    CHECK(f.values("vigie.deadletter").size() == 1);
}

TEST_CASE("worker: a processor sees its changes at once, in key order", "[streams]") {
    Fixture f;
    f.send({message("", "setup", 1)});
    Fixture::drain(*f.open(f.options([](const Record&, Context& context) -> Status {
        for (const auto* key : {"p/b", "p/d", "p/f", "q/a"}) context.put(key, "old");
        return {};
    })));
    f.send({message("", "look", 2)});
    Values seen;
    Values first_two;
    Fixture::drain(*f.open(f.options([&](const Record&, Context& context) -> Status {
        context.put("p/a", "new");
        context.erase("p/b");
        context.put("p/c", "new");
        context.put("p/d", "new");
        context.put("p/g", "new");
        CHECK(*context.get("p/a") == "new");
        CHECK(*context.get("p/b") == std::nullopt);
        CHECK(*context.get("p/f") == "old");
        CHECK(*context.get("absent") == std::nullopt);
        const auto take = [](Values& into, std::size_t max) {
            return [&into, max](std::string_view key, std::string_view value) {
                into.push_back(std::string(key) + "=" + std::string(value));
                return into.size() < max;
            };
        };
        VIGIE_TRY(context.scan("p/", take(seen, 100)));
        return context.scan("", take(first_two, 2));
    })));
    CHECK(seen == Values{"p/a=new", "p/c=new", "p/d=new", "p/f=old", "p/g=new"});
    CHECK(first_two == Values{"p/a=new", "p/c=new"});
}

TEST_CASE("worker: a processor can neither see nor touch the worker's rows", "[streams]") {
    Fixture f;
    f.send({message("", "1", 10), message("", "2", 20)});
    std::size_t seen = 0;
    const auto worker = f.open(f.options([&](const Record&, Context& context) -> Status {
        context.set_timer("t", at(1000));
        for (const auto* key : {"w", "tt", "b", ""}) {
            context.put(key, "mine");
            context.erase(key);
        }
        return context.scan("", [&](std::string_view, std::string_view) { return ++seen != 0; });
    }));
    Fixture::drain(*worker, 1);
    CHECK(seen == 0);
    const auto state = f.bus.state("test", {"in", 0});
    CHECK(state.size() == 2);  // The timer and the watermark.
    CHECK(state.contains("tt"));
    CHECK(state.contains("w"));
}

TEST_CASE("worker: a worker without a dead-letter topic does not open", "[streams]") {
    Fixture f;
    auto options = f.options(echo);
    options.dead_letter_topic = "missing";
    const auto worker = Worker::open(f.bus, options, f.metrics, f.log, f.clock);
    REQUIRE_FALSE(worker.has_value());
    CHECK(worker.error().kind == ErrorKind::kNotFound);
    options.make_processor = {};
    CHECK(Worker::open(f.bus, options, f.metrics, f.log, f.clock).error().kind ==
          ErrorKind::kInvalid);
}

TEST_CASE("worker: records removed by retention are counted and said", "[streams]") {
    Fixture f;
    const std::vector<TopicOptions> topics{{.name = "in", .retention_bytes = 2}};
    REQUIRE(f.bus.ensure_topics(topics).has_value());
    f.send({message("", "1", 1), message("", "2", 2), message("", "3", 3)});
    Fixture::drain(*f.open(f.options(echo)));
    CHECK(f.values("out") == Values{"2", "3"});
    CHECK(f.metrics.expose().find("vigie_streams_records_skipped_total{stage=\"test\"} 1") !=
          std::string::npos);
    CHECK(f.log.lines().size() == 1);
}

TEST_CASE("worker: reports lag, counts and the step's time", "[streams]") {
    Fixture f;
    f.send({message("", "1", 900), message("", "2", 940), message("", "3", 940)});
    const auto worker = f.open(f.options(echo));
    REQUIRE(*worker->step({.records_max = 2, .wait_max = 0ms}) == 2);
    const std::string text = f.metrics.expose();
    for (const auto* line :
         {"vigie_streams_records_in_total{stage=\"test\"} 2",
          "vigie_streams_records_out_total{stage=\"test\"} 2",
          "vigie_streams_input_lag_records{partition=\"in/0\",stage=\"test\"} 1",
          "vigie_streams_event_lag_seconds{partition=\"in/0\",stage=\"test\"} 60",
          "vigie_streams_step_seconds_count{stage=\"test\"} 1"}) {
        CHECK_THAT(text, Catch::Contains(line));
    }
}

}  // namespace vigie::streams
