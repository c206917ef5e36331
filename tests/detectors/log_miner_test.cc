#include "detectors/logs/miner.h"

#include <set>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "core/rng.h"

namespace {

using namespace vigie;
using namespace vigie::detectors;

// The template of one line, by itself.
std::string lexed(std::string_view line) {
    LogMiner miner({});
    return miner.text(miner.learn(line).id);
}

// That of two lines that must share it.
std::string shared(std::string_view first, std::string_view second) {
    LogMiner miner({});
    const auto id = miner.learn(first).id;
    return miner.learn(second).id == id ? miner.text(id) : "two templates";
}

std::string saved(const LogMiner& miner) {
    Encoder out;
    miner.save(out);
    return std::move(out).seal('t');
}

void restore(LogMiner& miner, const std::string& bytes) {
    auto in = Decoder::open(bytes, 't', "miner");
    REQUIRE(in);
    miner.load(*in);
    REQUIRE(in->finish());
}

// Lines of a few dozen templates, with words, values and numbers that vary.
std::string random_line(Rng& rng) {
    static const std::vector<std::string> words{"alpha", "beta",  "gamma", "delta",
                                                "kappa", "omega", "sigma", "theta"};
    const auto word = [&rng] { return words[rng.below(words.size())]; };
    switch (rng.below(7)) {
        case 0: return fmt::format("queue {} has {} messages left", word(), rng.below(100));
        case 1: return fmt::format("job {} on {} ended", rng.below(9), word());
        case 2: return fmt::format("state={} load={}", word(), rng.below(10));
        case 3: return fmt::format("login by {} through {} gate", word(), word());
        case 4: return fmt::format("disk sd{} is {} % full", rng.below(4), rng.below(100));
        case 5: return fmt::format("{} {} {}", word(), word(), word());
        default: return fmt::format("sizes {}", rng.chance(50) ? "1 2 3" : "7");
    }
}

}  // namespace

TEST_CASE("log miner: what varies is known by its shape", "[detectors]") {
    CHECK(lexed("GET /orders/123 took 4.5ms") == "GET <*> took <*>");
    CHECK(lexed("from 10.0.0.7:8080 and [fe80::1:2:3] and 5c:51:4f:36:bc:03") ==
          "from <*> and [<*>] and <*>");
    CHECK(lexed("id 3f2a9c1e-0b4d-4e6f-8a9b-0c1d2e3f4a5b of 0x7fff12, deadbeef01") ==
          "id <*> of <*>, <*>");
    CHECK(lexed("a decade of feedback can't fade") == "a decade of feedback can't fade");
    CHECK(lexed("at 2026-11-21 10:28:00.5 and Fri Nov 20 07:07:00 2026 and Nov 20 07:07:00") ==
          "at <*> and <*> and <*>");
    CHECK(lexed("copy https://shop.example/a?b=1 to C:\\temp\\x.txt") == "copy <*> to <*>");
    CHECK(lexed("task_7_of_9 mailed ann@mail.example through dsl-7-9.net.example") ==
          "<*> mailed <*> through <*>");
    CHECK(lexed("cache enabled: true, owner: null") == "cache enabled: <*>, owner: <*>");
    CHECK(lexed("\"GET /v1/items HTTP/1.1\" 200") == "\"GET <*>\" <*>");
    CHECK(lexed("block_17 and block_-17 at 10/Oct/2026:13:55:36") == "<*> and <*> at <*>");
    CHECK(lexed("offset -12 of +3.5 %") == "offset <*> of <*> %");
    CHECK(lexed("  blanks   are\t squeezed ") == "blanks are squeezed");
    CHECK(lexed("").empty());
}

TEST_CASE("log miner: where values stand, texts vary", "[detectors]") {
    CHECK(shared("accepted user=ann tty=ssh", "accepted user=bob tty=ssh") ==
          "accepted user=<*> tty=ssh");
    CHECK(shared("accepted tag=\"two words\" end", "accepted tag=\"one\" end") ==
          "accepted tag=\"<*>\" end");
    CHECK(shared("no session for user ann here", "no session for user bob here") ==
          "no session for user <*> here");
    CHECK(shared("loaded org.example.shop.Cart twice", "loaded org.example.pay.Card twice") ==
          "loaded <*> twice");
    CHECK(shared("link eth0 is up", "link eth1 is up") == "link <*> is up");
    CHECK(shared("used 5.5 KB of it", "used 12 MB of it") == "used <*> of it");
    CHECK(shared("ports 80 81 82 open", "ports 80 open") == "ports <*> open");
    CHECK(shared("peer a.example.org (10.1.1.1) left", "peer b.example.org () left") ==
          "peer <*> (<*>) left");
    // The text of a structured line says what happened.
    CHECK(shared("level=info n=1 msg=\"cache is warm\"", "level=info n=2 msg=\"cache is cold\"") ==
          "two templates");
    CHECK(shared("x=1 hint=\"all of it is lost\"", "x=1 hint=\"all of it is kept\"") ==
          "two templates");
    // Not between the program's own words, and not where an empty value is followed by a key.
    CHECK(shared("waiting for started jobs", "waiting for stopped jobs") == "two templates");
    CHECK(shared("ruser= rhost=a", "ruser= other=a") == "two templates");
    CHECK(shared("x == y holds", "x == z holds") == "two templates");
}

TEST_CASE("log miner: a word with many values becomes a variable, under the oldest id",
          "[detectors]") {
    LogMiner miner({});
    const auto first = miner.learn("connection to alpha was lost").id;
    std::vector<TemplateId> others;
    for (const auto* peer : {"beta", "gamma", "delta"}) {
        const auto match = miner.learn(fmt::format("connection to {} was lost", peer));
        CHECK(match.added);
        others.push_back(match.id);
    }
    CHECK(miner.take_aliases().empty());
    const auto fifth = miner.learn("connection to omega was lost");
    CHECK(fifth.id == first);
    CHECK_FALSE(fifth.added);
    CHECK(miner.text(first) == "connection to <*> was lost");
    CHECK(miner.lines(first) == 5);
    CHECK(miner.size() == 1);
    const auto aliases = miner.take_aliases();
    REQUIRE(aliases.size() == 3);
    for (std::size_t i = 0; i < aliases.size(); ++i) {
        CHECK(aliases[i].from == others[i]);
        CHECK(aliases[i].into == first);
        CHECK(miner.text(others[i]).empty());
    }
    CHECK(miner.learn("connection to 10.1.1.1 was lost").id == first);
    CHECK(miner.learn("connection to 10.1.1.1 was made").id > fifth.id);
}

TEST_CASE("log miner: what the program says itself stays apart", "[detectors]") {
    LogMiner miner({});
    std::set<TemplateId> ids;
    for (const auto* verb : {"started", "stopped", "paused", "resumed", "failed", "killed"}) {
        ids.insert(miner.learn(fmt::format("worker was {} by hand", verb)).id);
    }
    CHECK(ids.size() == 6);
    for (char c = 'a'; c <= 'z'; ++c) ids.insert(miner.learn(std::string(3, c)).id);
    CHECK(ids.size() == 6 + 26);
    for (const auto* name : {"cron", "mail", "ssh", "ntp", "dns", "ftp"}) {
        ids.insert(miner.learn(fmt::format("{} was set up well", name)).id);
    }
    CHECK(ids.size() == 6 + 26 + 6);
    CHECK(miner.take_aliases().empty());
}

TEST_CASE("log miner: masks make variables of words", "[detectors]") {
    MinerOptions options;
    options.masks = {"shop-*"};
    options.masks = {"tenant?", "north|south"};
    LogMiner miner(options);
    CHECK(miner.text(miner.learn("hall north of tenantx is open").id) == "hall <*> of <*> is open");
    CHECK(miner.learn("hall south of tenanty is open").id == 1);
}

TEST_CASE("log miner: templates are bounded, the ones not seen for longest go", "[detectors]") {
    MinerOptions options;
    options.templates_max = 10;
    LogMiner miner(options);
    const auto kept = miner.learn("always here").id;
    std::set<TemplateId> given{kept};
    std::size_t forgotten = 0;
    for (int i = 0; i < 26 * 26; ++i) {
        const std::string word{static_cast<char>('a' + i / 26), static_cast<char>('a' + i % 26)};
        const auto match = miner.learn(fmt::format("{0} {0}x {0}y", word));
        CHECK(match.added);
        CHECK(given.insert(match.id).second);
        CHECK(miner.learn("always here").id == kept);
        for (const auto& gone : miner.take_forgotten()) {
            CHECK(gone.id != kept);
            CHECK(gone.text.size() == 10);
            ++forgotten;
        }
    }
    CHECK(miner.size() == 10);
    CHECK(forgotten == 26 * 26 + 1 - 10);
}

TEST_CASE("log miner: a restart at any line changes no id, no text and no saved byte",
          "[detectors]") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        MinerOptions options;
        options.templates_max = seed % 2 == 0 ? 12 : 1000;
        LogMiner whole(options);
        LogMiner parts(options);
        Rng rng(seed);
        for (int i = 0; i < 400; ++i) {
            const std::string line = random_line(rng);
            if (rng.below(20) == 0) {
                const std::string bytes = saved(parts);
                parts = LogMiner(options);
                restore(parts, bytes);
                REQUIRE(saved(parts) == bytes);
            }
            const auto one = whole.learn(line);
            const auto other = parts.learn(line);
            INFO("seed " << seed << " line " << i << ": " << line);
            REQUIRE(one.id == other.id);
            REQUIRE(one.added == other.added);
            REQUIRE(whole.text(one.id) == parts.text(one.id));
        }
        CHECK(saved(whole) == saved(parts));
    }
}

TEST_CASE("log miner: any bytes are a line", "[detectors]") {
    MinerOptions options;
    options.templates_max = 50;
    options.tokens_max = 20;
    LogMiner miner(options);
    Rng rng(3);
    const std::string_view likely = "ab 01.:/-=[](){}\"'_@,<>%";
    for (int i = 0; i < 3000; ++i) {
        std::string line(rng.below(60), ' ');
        for (char& c : line) {
            c = rng.chance(90) ? likely[rng.below(likely.size())]
                               : static_cast<char>(rng.below(256));
        }
        miner.learn(line);
        std::size_t end = 0;
        for (const LogToken& token : miner.tokens()) {
            REQUIRE(token.begin >= end);
            REQUIRE(token.end >= token.begin);
            end = token.end;
        }
        REQUIRE(end <= line.size());
        REQUIRE(miner.tokens().size() <= options.tokens_max);
    }
    miner.learn(std::string(1'000'000, 'x') + " " + std::string(1'000'000, '='));
    miner.learn(std::string(100'000, '[') + "=" + std::string(100'000, '('));
    CHECK(miner.size() <= 50);
    CHECK(saved(miner).size() < 200'000);
}
