#include "app/migrate.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "app/section.h"
#include "core/id.h"
#include "core/system_clock.h"
#include "streams/context.h"

namespace vigie::app {

namespace {

using streams::Bus;
using streams::Changes;
using streams::Offset;
using streams::Partition;
using streams::Record;

constexpr std::size_t kBatch = 500;
constexpr std::chrono::milliseconds kAssignmentWait{60'000};
constexpr std::chrono::milliseconds kAssignmentPoll{100};
// What was acknowledged can be read a moment later; a read waits for that, but not for long.
constexpr std::size_t kSettleReads = 10;
// Of one step, so that a large state is no large transaction.
constexpr std::size_t kStepBytes = std::size_t{8} << 20U;

// A hash over what was added, in order and with its boundaries.
class Digest {
public:
    void add(std::string_view bytes) {
        hash_ = fnv1a64(fmt::format("{:016x}{}:", hash_, bytes.size()) + std::string(bytes));
    }
    void add(const streams::Message& message) {
        add(message.key);
        add(message.value);
        add(std::to_string(micros_of(message.event_time)));
        for (const auto& [name, value] : message.headers) {
            add(name);
            add(value);
        }
    }
    std::uint64_t value() const { return hash_; }

private:
    std::uint64_t hash_ = 0;
};

// The position of one reader, as the number of records before it.
struct Place {
    std::size_t reader = 0;
    Offset at = 0;  // On the bus that it is copied from
    std::size_t records_before = 0;
    Offset moved = 0;  // On the other
};

// A partition on its way: what was read of it, and who stands where.
struct Copy {
    Partition partition;
    std::size_t records = 0;
    Digest digest;
    std::vector<Place> places;
};

Status refuse_records(const Bus& to, const std::string& topic) {
    const auto count = to.partition_count(topic);
    if (!count && count.error().kind == ErrorKind::kNotFound) return {};
    VIGIE_TRY(count);
    for (std::int32_t index = 0; index < *count; ++index) {
        VIGIE_TRY_ASSIGN(const auto range, to.range({topic, index}));
        if (range.begin >= range.end) continue;
        return fail(ErrorKind::kConflict,
                    fmt::format("{}/{} has records already: migrate to topics that are empty, "
                                "under another bus.topic_prefix for instance",
                                topic, index));
    }
    return {};
}

Status check_target(const Bus& to, std::span<const streams::TopicOptions> topics,
                    std::span<const Reader> readers) {
    for (const auto& topic : topics) VIGIE_TRY(refuse_records(to, topic.name));
    for (const Reader& reader : readers) {
        VIGIE_TRY(refuse_records(to, "vigie.state." + reader.group));
    }
    return {};
}

Status check_partitions(const Bus& from, std::span<const streams::TopicOptions> topics) {
    for (const auto& topic : topics) {
        VIGIE_TRY_ASSIGN(const std::int32_t count, from.partition_count(topic.name));
        if (count == topic.partitions) continue;
        return fail(ErrorKind::kInvalid,
                    fmt::format("{} has {} partitions, and would have {}: set bus.partitions to {}",
                                topic.name, count, topic.partitions, count));
    }
    return {};
}

// Copies the records and says how many stand before each place.
Status copy_records(const Bus& from, Bus& to, Copy& copy) {
    VIGIE_TRY_ASSIGN(const auto range, from.range(copy.partition));
    for (Offset next = range.begin; next < range.end;) {
        VIGIE_TRY_ASSIGN(auto records,
                         from.read(copy.partition, next, {kBatch, std::chrono::milliseconds{0}}));
        if (records.empty()) break;
        std::vector<streams::Message> messages;
        for (Record& record : records) {
            for (Place& place : copy.places) place.records_before += record.offset < place.at;
            ++copy.records;
            copy.digest.add(record.message);
            next = record.offset + 1;
            record.message.topic = copy.partition.topic;
            messages.push_back(std::move(record.message));
        }
        VIGIE_TRY(streams::append_and_wait(to, std::move(messages)));
    }
    return {};
}

Error differs(const Partition& partition, std::string_view what) {
    return {ErrorKind::kCorrupt,
            fmt::format("{} is not the same after the copy: {}", to_string(partition), what)};
}

// Reads the copy, compares it, and finds the places in it.
Status compare_records(const Bus& to, Copy& copy) {
    std::size_t records = 0;
    Digest digest;
    std::size_t reads_left = kSettleReads;
    for (Offset next = 0; reads_left > 0;) {
        VIGIE_TRY_ASSIGN(const auto batch,
                         to.read(copy.partition, next, {kBatch, std::chrono::milliseconds{0}}));
        for (const Record& record : batch) {
            for (Place& place : copy.places) {
                if (place.records_before == records) place.moved = record.offset;
            }
            ++records;
            digest.add(record.message);
            next = record.offset + 1;
        }
        if (!batch.empty()) continue;
        reads_left = records < copy.records ? reads_left - 1 : 0;
    }
    if (records != copy.records) {
        return fail(
            differs(copy.partition, fmt::format("{} records, not {}", records, copy.records)));
    }
    if (digest.value() != copy.digest.value()) {
        return fail(differs(copy.partition, "its records have another hash"));
    }
    VIGIE_TRY_ASSIGN(const auto range, to.range(copy.partition));
    for (Place& place : copy.places) {
        if (place.records_before == records) place.moved = range.end;
    }
    return {};
}

// One reader's group on one bus, with all partitions of its topics.
class Group final : streams::AssignmentListener {
public:
    static Result<std::unique_ptr<Group>> open(Bus& bus, const Reader& reader) {
        std::unique_ptr<Group> group(new Group);
        std::size_t partitions = 0;
        for (const auto& topic : reader.topics) {
            VIGIE_TRY_ASSIGN(const std::int32_t count, bus.partition_count(topic));
            partitions += static_cast<std::size_t>(count);
        }
        VIGIE_TRY_ASSIGN(group->consumer_, bus.subscribe({reader.group, reader.topics}, *group));
        const SystemClock clock;
        const SteadyTime until = clock.steady() + kAssignmentWait;
        while (group->assigned_ < partitions) {
            if (clock.steady() >= until) {
                return fail(ErrorKind::kConflict,
                            fmt::format("another process has partitions of stage {}: stop it",
                                        reader.group));
            }
            // What is polled is not processed.
            VIGIE_TRY(group->consumer_->poll({1, kAssignmentPoll}));
        }
        return group;
    }

    streams::Consumer& consumer() { return *consumer_; }

private:
    Status on_assigned(std::span<const Partition> partitions) override {
        assigned_ += partitions.size();
        return {};
    }
    void on_revoked(std::span<const Partition> partitions) override {
        assigned_ -= partitions.size();
    }

    std::size_t assigned_ = 0;
    std::unique_ptr<streams::Consumer> consumer_;
};

Result<Changes> rows_of(const streams::Store& store) {
    Changes rows;
    VIGIE_TRY(store.scan({}, [&](std::string_view key, std::string_view value) {
        rows.emplace(key, std::string(value));
        return true;
    }));
    return rows;
}

// The rows as they are to lie on the other side, where a snapshot has another reference.
Result<Changes> translated_rows(const streams::Consumer& from, streams::Consumer& to,
                                const Partition& partition) {
    const streams::Store& store = from.store(partition);
    VIGIE_TRY_ASSIGN(auto rows, rows_of(store));
    streams::StepContext context(store, streams::kMessageBytesMax);
    VIGIE_TRY(context.load());
    VIGIE_TRY_ASSIGN(const auto reference, context.load_snapshot());
    if (!reference) return rows;
    VIGIE_TRY_ASSIGN(const auto bytes, from.load_bulk(partition, *reference));
    VIGIE_TRY_ASSIGN(const auto kept, to.save_bulk(partition, bytes));
    context.save_snapshot(kept);
    for (auto& [key, value] : context.take_changes()) rows.insert_or_assign(key, value);
    return rows;
}

// In steps of a bounded size; the position moves with the last one.
Status write_rows(streams::Consumer& to, const Partition& partition, const Changes& rows,
                  Offset position) {
    streams::Step step{.input = partition, .next = {}, .state = {}, .outputs = {}};
    std::size_t bytes = 0;
    for (const auto& [key, value] : rows) {
        bytes += key.size() + value->size();
        step.state.emplace(key, value);
        if (bytes < kStepBytes) continue;
        VIGIE_TRY(to.commit(std::exchange(step, {partition, {}, {}, {}})));
        bytes = 0;
    }
    step.next = position;
    return to.commit(std::move(step));
}

using Places = std::map<Partition, Place>;

Status copy_reader(Bus& from, Bus& to, const Reader& reader, const Places& places,
                   Migration& done) {
    VIGIE_TRY_ASSIGN(const auto source, Group::open(from, reader));
    std::map<Partition, Changes> written;
    {
        VIGIE_TRY_ASSIGN(const auto target, Group::open(to, reader));
        for (const auto& [partition, place] : places) {
            VIGIE_TRY_ASSIGN(auto rows,
                             translated_rows(source->consumer(), target->consumer(), partition));
            VIGIE_TRY(write_rows(target->consumer(), partition, rows, place.moved));
            done.rows += rows.size();
            ++done.positions;
            written[partition] = std::move(rows);
        }
    }
    // Another member has nothing but what is kept.
    VIGIE_TRY_ASSIGN(const auto target, Group::open(to, reader));
    for (const auto& [partition, place] : places) {
        VIGIE_TRY_ASSIGN(const auto rows, rows_of(target->consumer().store(partition)));
        VIGIE_TRY_ASSIGN(const Offset position, target->consumer().position(partition));
        if (rows != written[partition]) {
            return fail(differs(partition, "the state of stage " + reader.group));
        }
        if (position != place.moved) {
            return fail(differs(partition, "the position of stage " + reader.group));
        }
    }
    return {};
}

constexpr const char* kMark = "/migration";
constexpr const char* kFinished = "finished\n";

}  // namespace

Result<Migration> migrate(Bus& from, Bus& to, std::span<const streams::TopicOptions> topics,
                          std::span<const Reader> readers,
                          const std::function<Status()>& before_writing) {
    VIGIE_TRY(check_partitions(from, topics));
    VIGIE_TRY(check_target(to, topics, readers));
    VIGIE_TRY(before_writing());
    VIGIE_TRY(to.ensure_topics(topics));
    Migration done;
    std::vector<Places> places(readers.size());
    for (const auto& topic : topics) {
        for (std::int32_t index = 0; index < topic.partitions; ++index) {
            Copy copy{.partition = {topic.name, index}, .records = 0, .digest = {}, .places = {}};
            for (std::size_t i = 0; i < readers.size(); ++i) {
                const auto& read = readers[i].topics;
                if (std::find(read.begin(), read.end(), topic.name) == read.end()) continue;
                VIGIE_TRY_ASSIGN(const Offset at,
                                 from.group_position(readers[i].group, copy.partition));
                copy.places.push_back({.reader = i, .at = at, .records_before = 0, .moved = 0});
            }
            VIGIE_TRY(copy_records(from, to, copy));
            VIGIE_TRY(compare_records(to, copy));
            done.parts.push_back({copy.partition, copy.records, copy.digest.value()});
            for (const Place& place : copy.places) places[place.reader][copy.partition] = place;
        }
    }
    for (std::size_t i = 0; i < readers.size(); ++i) {
        VIGIE_TRY(copy_reader(from, to, readers[i], places[i], done));
    }
    return done;
}

Status mark_move(const std::string& data, bool finished) {
    return write_file(data + kMark, finished ? kFinished : "unfinished\n");
}

Status check_move(const std::string& data) {
    std::error_code error;
    if (std::filesystem::exists(data + kMark, error)) {
        VIGIE_TRY_ASSIGN(const std::string mark, read_file(data + kMark, 100));
        if (mark == kFinished) return {};
        return fail(
            ErrorKind::kConflict,
            fmt::format("the move of {}/bus to Kafka was begun and not finished: delete the "
                        "topics that it made, or choose another bus.topic_prefix, and run "
                        "'vigie migrate' again",
                        data));
    }
    if (!std::filesystem::exists(data + "/bus", error)) return {};
    return fail(
        ErrorKind::kConflict,
        fmt::format("{0}/bus has a log that is not on Kafka: run 'vigie migrate --to kafka', "
                    "or move {0}/bus away to begin without it",
                    data));
}

}  // namespace vigie::app
