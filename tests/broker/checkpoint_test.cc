// State that a restart takes from the local disk, and when it does not.
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "streams/kafka/encoding.h"
#include "streams/kafka/metrics.h"
#include "tests/broker/life.h"

namespace vigie::streams {

using namespace std::chrono_literals;
namespace metrics = kafka::metrics;

namespace {

const Partition kIn{"in", 1};

// The member that has both partitions, with its copies in a folder.
struct Owner : Life {
    Owner(const KafkaHarness& harness, const std::string& folder,
          std::chrono::milliseconds ahead = {})
        : Life(with(harness.options(), folder), ahead) {
        REQUIRE(poll_until<KafkaHarness>({member.get()}, [&] { return listener.assigned == 2; }));
    }

    void commit(Changes changes) { Life::commit(kIn, std::move(changes)); }
    Changes rows() const { return rows_of(member->store(kIn)); }
    std::uint64_t records_read() { return count(metrics::kRestored); }
    std::uint64_t unused(const std::string& why) {
        return count(metrics::kCheckpointsUnused, {{"why", why}});
    }

private:
    static kafka::KafkaBus::Options with(kafka::KafkaBus::Options options,
                                         const std::string& folder) {
        options.state_folder = folder;
        return options;
    }
};

Changes many_rows(int count, const std::string& value) {
    Changes rows;
    for (int i = 0; i < count; ++i) rows["row" + std::to_string(i)] = value;
    return rows;
}

std::vector<std::filesystem::path> files_in(const std::string& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        files.push_back(entry.path());
    }
    return files;
}

}  // namespace

TEST_CASE("kafka: a checkpoint cut at any byte is refused, never a crash", "[broker]") {
    const kafka::StateDecoder::Rows rows{{"a", "1"}, {"b", std::string(300, 'x')}, {"c", ""}};
    const std::string whole =
        kafka::encode_saved_state("cluster", WallTime{std::chrono::milliseconds{5}}, 7, rows);
    const auto read = kafka::decode_saved_state(whole);
    REQUIRE(read.has_value());
    CHECK(read->cluster_id == "cluster");
    CHECK(read->next == 7);
    CHECK(read->rows == rows);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto cut = kafka::decode_saved_state(std::string_view(whole).substr(0, size));
        // Between two rows only its file's CRC sees it.
        if (cut) CHECK(cut->rows.size() < rows.size());
    }
    std::string newer = whole;
    ++newer.front();
    CHECK_FALSE(kafka::decode_saved_state(newer).has_value());
}

TEST_CASE("kafka: a restart with a checkpoint reads what the changelog got since", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_topics(harness.bus(), 2).has_value());
    const TempFolder here;
    const TempFolder old;
    Changes expected = many_rows(200, "1");
    expected["large"] = std::string(1'200'000, 'a');
    {
        Owner life(harness, here.path());
        CHECK(life.unused("missing") == 2);
        life.commit(expected);
    }
    std::filesystem::copy(here.path(), old.path());
    {
        Owner life(harness, here.path());
        CHECK(life.rows() == expected);
        CHECK(life.records_read() == 0);
        const Changes later{{"row7", "2"}, {"row8", std::nullopt}, {"large", "small"}, {"new", ""}};
        life.commit(later);
        for (const auto& [key, value] : later) expected[key] = value;
        std::erase_if(expected, [](const auto& row) { return !row.second.has_value(); });
        CHECK(life.rows() == expected);
    }
    SECTION("the one of the last life") {
        const Owner life(harness, here.path());
        CHECK(life.rows() == expected);
    }
    SECTION("an older one, of another machine or from a backup") {
        Owner life(harness, old.path());
        CHECK(life.rows() == expected);
        CHECK(life.unused("missing") == 1);  // Of the other partition, which has no rows.
        // Four rows, and the parts that the large one had.
        CHECK(life.records_read() == 6);
        // How far it is can be seen meanwhile, and that it ended.
        CHECK(life.numbers.gauge(metrics::kRestoreLeft, {{"group", "g"}}).value() == 0);
        std::string told;
        for (const std::string& line : life.log.lines()) told += line + "\n";
        CHECK(told.find("restoring state") != std::string::npos);
        CHECK(told.find("state restored") != std::string::npos);
    }
    SECTION("none") {
        Owner life(harness, "");
        CHECK(life.rows() == expected);
        CHECK(life.records_read() > 200);
    }
    SECTION("one that is damaged") {
        REQUIRE(files_in(here.path()).size() == 1);
        {
            std::fstream file(files_in(here.path())[0], std::ios::in | std::ios::out);
            file.seekp(300);
            file.put('x');
        }
        Owner life(harness, here.path());
        CHECK(life.rows() == expected);
        CHECK(life.unused("damaged") == 1);
        CHECK(life.records_read() > 200);
    }
    SECTION("one from before the brokers forgot what was erased") {
        Owner life(harness, here.path(), 13h);
        CHECK(life.rows() == expected);
        CHECK(life.unused("old") == 1);
        CHECK(life.records_read() > 200);
    }
}

TEST_CASE("kafka: state is saved while it changes, not only at the end", "[broker]") {
    KafkaHarness harness;
    REQUIRE(make_topics(harness.bus(), 2).has_value());
    const TempFolder here;
    const TempFolder killed;
    Owner life(harness, here.path());
    life.commit(many_rows(999, "1"));
    CHECK(files_in(here.path()).empty());
    life.commit({{"last", "1"}});
    CHECK(files_in(here.path()).size() == 1);
    // As many changes again as there are rows: a second one takes its place.
    life.commit(many_rows(999, "2"));
    const auto first = files_in(here.path());
    life.commit({{"last", "2"}, {"more", "1"}});
    CHECK(files_in(here.path()).size() == 1);
    CHECK(files_in(here.path()) != first);
    // What a process leaves that dies here.
    std::filesystem::copy(here.path(), killed.path());
    const Changes rows = life.rows();
    life.member.reset();
    Owner next(harness, killed.path());
    CHECK(next.rows() == rows);
    CHECK(next.records_read() == 0);
}

}  // namespace vigie::streams
