#include "streams/rocks/encoding.h"

#include <catch2/catch.hpp>

#include "core/rng.h"

namespace vigie::streams::rocks {

namespace {

const Partition kWhere{"in", 2};

std::vector<Message> samples() {
    return {{"in", "k", "value", {{"kind", "tick"}, {"", ""}}, event_time_from_micros(-1)},
            {"in", "", "", {}, event_time_from_micros(1'700'000'000'000'000)},
            {"in", std::string("\0\xff", 2), std::string(300, '\0'), {}, EventTime{}}};
}

std::string chunk_of(const std::vector<Message>& messages) {
    std::string records;
    for (const Message& message : messages) append_record(records, message);
    std::string chunk = "what was there before";
    encode_chunk(static_cast<std::uint32_t>(messages.size()), records, chunk);
    return chunk;
}

// The messages, or the first error.
Result<std::vector<Message>> decode(std::string_view chunk) {
    std::vector<Message> messages;
    std::string buffer;
    VIGIE_TRY_ASSIGN(ChunkReader reader, ChunkReader::open(chunk, kWhere, 40, buffer));
    while (reader.next_offset() < reader.end_offset()) {
        VIGIE_TRY_ASSIGN(const RecordView record, reader.next());
        messages.push_back(record.message());
    }
    VIGIE_TRY(reader.finish());
    return messages;
}

}  // namespace

TEST_CASE("encoding: a chunk gives back its records", "[contract]") {
    CHECK(chunk_of(samples()).front() == kFormat);
    CHECK(*decode(chunk_of(samples())) == samples());
}

TEST_CASE("encoding: what compresses is packed, what does not is not", "[contract]") {
    auto messages = samples();
    messages.push_back({"in", "long", std::string(4000, 'x'), {}, EventTime{}});
    const std::string packed = chunk_of(messages);
    CHECK(packed.front() == kPacked);
    CHECK(packed.size() < 500);
    CHECK(*decode(packed) == messages);

    Rng rng(1);
    std::string noise(4000, '\0');
    for (char& c : noise) c = static_cast<char>(rng.below(256));
    messages.push_back({"in", "noise", noise, {}, EventTime{}});
    messages.erase(messages.end() - 2);
    const std::string plain = chunk_of(messages);
    CHECK(plain.front() == kFormat);
    CHECK(*decode(plain) == messages);
}

TEST_CASE("encoding: a damaged packed chunk is kCorrupt and asks for no memory", "[contract]") {
    auto messages = samples();
    for (int i = 0; i < 50; ++i) {
        messages.push_back({"in", "k", "value " + std::to_string(i * 7919), {}, EventTime{}});
    }
    const std::string good = chunk_of(messages);
    REQUIRE(good.front() == kPacked);
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (const char flip : {'\x01', '\x10', '\x80'}) {
            std::string bad = good;
            bad[at] = static_cast<char>(bad[at] ^ flip);
            const auto decoded = decode(bad);
            // A match may begin elsewhere in equal bytes: then nothing is wrong.
            if (decoded) {
                CHECK(*decoded == messages);
            } else {
                CHECK(decoded.error().kind == ErrorKind::kCorrupt);
            }
        }
        CHECK_FALSE(decode(std::string_view(good).substr(0, at)).has_value());
    }
    CHECK_FALSE(decode(good + "x").has_value());
    // Four gigabytes, it says.
    const std::string huge = std::string(1, kPacked) + std::string("\0\0\0\1\xff\xff\xff\xff", 8);
    CHECK_FALSE(decode(huge + std::string(100, '\0')).has_value());
}

TEST_CASE("encoding: every changed, missing or added byte of a chunk is noticed", "[contract]") {
    const std::string good = chunk_of(samples());
    for (std::size_t at = 0; at < good.size(); ++at) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x10);
        const auto decoded = decode(bad);
        REQUIRE_FALSE(decoded.has_value());
        CHECK(decoded.error().kind == ErrorKind::kCorrupt);
        CHECK_FALSE(decode(std::string_view(good).substr(0, at)).has_value());
    }
    CHECK_FALSE(decode(good + "x").has_value());
}

TEST_CASE("encoding: keys of chunks sort by partition, then offset", "[contract]") {
    const std::vector<std::pair<std::int32_t, Offset>> ascending{
        {0, 0}, {0, 255}, {0, 256}, {0, Offset{1} << 40}, {1, 0}, {300, 7}};
    for (std::size_t i = 1; i < ascending.size(); ++i) {
        CHECK(chunk_key(ascending[i - 1].first, ascending[i - 1].second) <
              chunk_key(ascending[i].first, ascending[i].second));
    }
    const auto parsed = parse_chunk_key(chunk_key(300, 7));
    REQUIRE(parsed.has_value());
    CHECK(parsed->partition == 300);
    CHECK(parsed->base == 7);
    CHECK_FALSE(parse_chunk_key("short").has_value());
}

TEST_CASE("encoding: prefixes of groups never contain each other", "[contract]") {
    CHECK_FALSE(group_prefix("ab", {"c", 0}).starts_with(group_prefix("a", {"bc", 0})));
    CHECK(group_prefix("a", {"bc", 0}) != group_prefix("ab", {"c", 0}));
    CHECK(prefix_end("a") == "b");
    CHECK(prefix_end("a\xff") == "b");
    CHECK(prefix_end("\xff\xff").empty());
}

TEST_CASE("encoding: rows of topics and segments come back, others are kCorrupt", "[contract]") {
    const TopicOptions topic{.name = "in",
                             .partitions = 7,
                             .retention_bytes = 123,
                             .retention = std::chrono::seconds{45},
                             .compacted = true};
    const auto read = decode_topic("in", encode_topic(topic));
    REQUIRE(read.has_value());
    CHECK(read->name == "in");
    CHECK(read->partitions == 7);
    CHECK(read->retention_bytes == 123);
    CHECK(read->retention == std::chrono::seconds{45});
    CHECK(read->compacted);
    const Segment segment{5, 9, 100, 1'000, 2'000};
    const auto back = decode_segment(kWhere, encode_segment(segment));
    REQUIRE(back.has_value());
    CHECK(back->base == 5);
    CHECK(back->end == 9);
    CHECK(back->bytes == 100);
    CHECK(back->first_ms == 1'000);
    CHECK(back->last_ms == 2'000);
    const std::string good = encode_topic(topic);
    for (std::size_t size = 0; size < good.size(); ++size) {
        CHECK_FALSE(decode_topic("in", std::string_view(good).substr(0, size)).has_value());
    }
    CHECK_FALSE(decode_topic("in", good + "x").has_value());
    CHECK_FALSE(decode_segment(kWhere, "\1short").has_value());
    CHECK_FALSE(decode_segment(kWhere, "\2" + encode_segment(segment).substr(1)).has_value());
}

}  // namespace vigie::streams::rocks
