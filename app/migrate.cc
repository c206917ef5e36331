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
#include "streams/runtime.h"

namespace vigie::app {

namespace {

using streams::Bus;
using streams::Changes;
using streams::Offset;
using streams::Partition;
using streams::PollLimits;
using streams::Record;

constexpr std::size_t kBatch = 2000;
constexpr std::chrono::milliseconds kAssignmentWait{60'000};
constexpr std::chrono::milliseconds kAssignmentPoll{100};
constexpr std::chrono::seconds kTellInterval{5};
constexpr PollLimits kAtOnce{kBatch, std::chrono::milliseconds{0}};
constexpr std::chrono::milliseconds kSettlePoll{100};
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
    std::vector<Place> places;
    Offset next = 0;  // Of the bus that it is copied from
    std::size_t records = 0;
    Digest digest = {};

    void add(const Record& record) {
        for (Place& place : places) place.records_before += record.offset < place.at ? 1 : 0;
        ++records;
        digest.add(record.message);
        next = record.offset + 1;
    }
};

// For how long what fails is tried again.
class Patience {
public:
    explicit Patience(const MigrateOptions& options) : options_(options) {}

    void worked() { failing_since_.reset(); }
    Status keep_trying(const std::string& doing, const std::function<Status()>& attempt) {
        while (true) {
            Status status = attempt();
            if (status) worked();
            if (status || !is_retryable(status.error().kind)) return status;
            const SteadyTime now = clock_.steady();
            if (!failing_since_) failing_since_ = now;
            if (now - *failing_since_ >= options_.patience) return status;
            options_.tell(fmt::format("{}: {}: trying again", doing, status.error().message));
            streams::wait_for(options_.settle_wait, {});
        }
    }

private:
    const MigrateOptions& options_;
    const SystemClock clock_;
    std::optional<SteadyTime> failing_since_;
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

// Goes over the records that `to` has already: they must be the first ones of `from`.
Status pass_copied(const Bus& from, const Bus& to, Copy& copy,
                   const std::function<void()>& worked) {
    VIGIE_TRY_ASSIGN(const auto range, from.range(copy.partition));
    copy.next = range.begin;
    const auto count = to.partition_count(copy.partition.topic);
    if (!count && count.error().kind == ErrorKind::kNotFound) return {};
    VIGIE_TRY(count);
    std::vector<Record> ours;
    std::size_t compared = 0;  // Of `ours`
    for (Offset next = 0;;) {
        VIGIE_TRY_ASSIGN(const auto theirs, to.read(copy.partition, next, kAtOnce));
        if (theirs.empty()) return {};
        worked();
        for (const Record& record : theirs) {
            if (compared == ours.size()) {
                VIGIE_TRY_ASSIGN(ours, from.read(copy.partition, copy.next, kAtOnce));
                compared = 0;
            }
            Digest here;
            Digest there;
            there.add(record.message);
            if (compared < ours.size()) here.add(ours[compared].message);
            if (here.value() != there.value()) {
                return fail(ErrorKind::kConflict,
                            fmt::format("{}@{} is not what the log has there: delete the topics "
                                        "of the move that was begun, or choose another "
                                        "bus.topic_prefix",
                                        to_string(copy.partition), record.offset));
            }
            copy.add(ours[compared++]);
            next = record.offset + 1;
        }
    }
}

// Copies what `to` does not have, and says how many records stand before each place.
Status copy_records(const Bus& from, Bus& to, Copy& copy, const MigrateOptions& options,
                    Patience& patience) {
    // Where every append fails, reading again and again is no progress.
    VIGIE_TRY(pass_copied(from, to, copy, [] {}));
    VIGIE_TRY_ASSIGN(const auto range, from.range(copy.partition));
    const SystemClock clock;
    SteadyTime tell_at = clock.steady() + kTellInterval;
    while (copy.next < range.end) {
        VIGIE_TRY_ASSIGN(auto records, from.read(copy.partition, copy.next, kAtOnce));
        if (records.empty()) break;
        std::vector<streams::Message> messages;
        for (Record& record : records) {
            copy.add(record);
            record.message.topic = copy.partition.topic;
            messages.push_back(std::move(record.message));
        }
        VIGIE_TRY(streams::append_and_wait(to, std::move(messages)));
        patience.worked();
        if (clock.steady() < tell_at) continue;
        tell_at = clock.steady() + kTellInterval;
        options.tell(fmt::format("{}: {} of {} records", to_string(copy.partition), copy.records,
                                 range.end - range.begin));
    }
    return {};
}

Status require_empty(const Bus& to, std::span<const streams::TopicOptions> topics,
                     std::span<const Reader> readers) {
    for (const auto& topic : topics) VIGIE_TRY(refuse_records(to, topic.name));
    for (const Reader& reader : readers) {
        VIGIE_TRY(refuse_records(to, "vigie.state." + reader.group));
    }
    return {};
}

// What is there must be what an unfinished move left.
Status require_begun(const Bus& from, const Bus& to, std::span<const streams::TopicOptions> topics,
                     Patience& patience) {
    for (const auto& topic : topics) {
        for (std::int32_t index = 0; index < topic.partitions; ++index) {
            Copy copy{.partition = {topic.name, index}, .places = {}};
            VIGIE_TRY(pass_copied(from, to, copy, [&patience] { patience.worked(); }));
        }
    }
    return {};
}

Error differs(const Partition& partition, std::string_view what) {
    return {ErrorKind::kCorrupt,
            fmt::format("{} is not the same after the copy: {}", to_string(partition), what)};
}

// Reads the copy, compares it, and finds the places in it.
Status compare_records(const Bus& to, Copy& copy, const MigrateOptions& options,
                       Patience& patience) {
    std::size_t records = 0;
    Digest digest;
    const SystemClock clock;
    SteadyTime until = clock.steady() + options.settle_wait;
    for (Offset next = 0;;) {
        VIGIE_TRY_ASSIGN(const auto batch, to.read(copy.partition, next, kAtOnce));
        for (const Record& record : batch) {
            for (Place& place : copy.places) {
                if (place.records_before == records) place.moved = record.offset;
            }
            ++records;
            digest.add(record.message);
            next = record.offset + 1;
        }
        if (batch.empty()) {
            if (records >= copy.records || clock.steady() >= until) break;
            streams::wait_for(kSettlePoll, {});
            continue;
        }
        patience.worked();
        until = clock.steady() + options.settle_wait;
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

// What a stage has behind a partition, as it is to lie on the other side.
struct State {
    Changes rows;
    Offset position = 0;
    std::string begins_anew;  // Why, when it does.
};

// A snapshot has another reference there. One that cannot be read is dealt with as a worker does.
Result<State> translated(streams::Consumer& from, streams::Consumer& to, const Partition& partition,
                         Offset position) {
    const streams::Store& store = from.store(partition);
    State state{.rows = {}, .position = position, .begins_anew = {}};
    VIGIE_TRY_ASSIGN(state.rows, rows_of(store));
    streams::StepContext context(store, streams::kMessageBytesMax);
    VIGIE_TRY(context.load());
    VIGIE_TRY_ASSIGN(const auto reference, context.load_snapshot());
    if (!reference) return state;
    const auto bytes = from.load_bulk(partition, *reference);
    if (!bytes && bytes.error().kind == ErrorKind::kInvalid)
        return State{{}, 0, bytes.error().message};
    VIGIE_TRY(bytes);
    // What a move that was cut short has named must be known before it is written over.
    streams::StepContext there(to.store(partition), streams::kMessageBytesMax);
    VIGIE_TRY_ASSIGN(const auto named, there.load_snapshot());
    if (named) static_cast<void>(to.load_bulk(partition, *named));
    VIGIE_TRY_ASSIGN(const auto kept, to.save_bulk(partition, *bytes));
    context.save_snapshot(kept);
    for (auto& [key, value] : context.take_changes()) state.rows.insert_or_assign(key, value);
    return state;
}

// In steps of a bounded size; the position moves with the last one. What an unfinished move left
// and is not to be there goes.
Status write_state(streams::Consumer& to, const Partition& partition, const State& state) {
    VIGIE_TRY_ASSIGN(Changes rows, rows_of(to.store(partition)));
    for (auto& [key, value] : rows) value.reset();
    for (const auto& [key, value] : state.rows) rows.insert_or_assign(key, value);
    streams::Step step{.input = partition, .next = {}, .state = {}, .outputs = {}};
    std::size_t bytes = 0;
    for (auto& [key, value] : rows) {
        bytes += key.size() + (value ? value->size() : 0);
        step.state.emplace(key, std::move(value));
        if (bytes < kStepBytes) continue;
        VIGIE_TRY(to.commit(std::exchange(step, {partition, {}, {}, {}})));
        bytes = 0;
    }
    step.next = state.position;
    return to.commit(std::move(step));
}

using Places = std::map<Partition, Place>;

// By partition, what was written and found there again.
Result<std::map<Partition, State>> copy_reader(Bus& from, Bus& to, const Reader& reader,
                                               const Places& places) {
    VIGIE_TRY_ASSIGN(const auto source, Group::open(from, reader));
    std::map<Partition, State> written;
    {
        VIGIE_TRY_ASSIGN(const auto target, Group::open(to, reader));
        for (const auto& [partition, place] : places) {
            VIGIE_TRY_ASSIGN(auto state, translated(source->consumer(), target->consumer(),
                                                    partition, place.moved));
            VIGIE_TRY(write_state(target->consumer(), partition, state));
            written[partition] = std::move(state);
        }
    }
    // Another member has nothing but what is kept.
    VIGIE_TRY_ASSIGN(const auto target, Group::open(to, reader));
    for (const auto& [partition, state] : written) {
        VIGIE_TRY_ASSIGN(const auto rows, rows_of(target->consumer().store(partition)));
        VIGIE_TRY_ASSIGN(const Offset position, target->consumer().position(partition));
        if (rows != state.rows) {
            return fail(differs(partition, "the state of stage " + reader.group));
        }
        if (position != state.position) {
            return fail(differs(partition, "the position of stage " + reader.group));
        }
    }
    return written;
}

// A partition and who reads it.
Result<Copy> prepare(const Bus& from, const Partition& partition, std::span<const Reader> readers) {
    Copy copy{.partition = partition, .places = {}};
    for (std::size_t i = 0; i < readers.size(); ++i) {
        const auto& read = readers[i].topics;
        if (std::ranges::find(read, partition.topic) == read.end()) continue;
        VIGIE_TRY_ASSIGN(const Offset at, from.group_position(readers[i].group, partition));
        copy.places.push_back({.reader = i, .at = at, .records_before = 0, .moved = 0});
    }
    return copy;
}

constexpr const char* kMark = "/migration";
constexpr const char* kFinished = "finished\n";
constexpr std::size_t kMarkBytesMax = 4096;

std::string unfinished(const std::string& target) {
    return "unfinished " + target + "\n";
}

}  // namespace

Result<Migration> migrate(Bus& from, Bus& to, std::span<const streams::TopicOptions> topics,
                          std::span<const Reader> readers, const MigrateOptions& options) {
    VIGIE_TRY(check_partitions(from, topics));
    Patience patience(options);
    if (options.resume) {
        options.tell("waiting for what the move before left undecided");
        streams::wait_for(options.settle_wait, {});
    }
    VIGIE_TRY(patience.keep_trying("look at what is there", [&] {
        return options.resume ? require_begun(from, to, topics, patience)
                              : require_empty(to, topics, readers);
    }));
    VIGIE_TRY(options.before_writing());
    VIGIE_TRY(patience.keep_trying("create topics", [&] { return to.ensure_topics(topics); }));
    Migration done;
    std::vector<Places> places(readers.size());
    for (const auto& topic : topics) {
        for (std::int32_t index = 0; index < topic.partitions; ++index) {
            const Partition partition{topic.name, index};
            options.tell("copying " + to_string(partition));
            VIGIE_TRY_ASSIGN(const Copy begin, prepare(from, partition, readers));
            Copy copy;
            const auto copy_and_compare = [&]() -> Status {
                copy = begin;
                VIGIE_TRY(copy_records(from, to, copy, options, patience));
                return compare_records(to, copy, options, patience);
            };
            VIGIE_TRY(patience.keep_trying(to_string(partition), copy_and_compare));
            done.parts.push_back({partition, copy.records, copy.digest.value()});
            for (const Place& place : copy.places) places[place.reader][partition] = place;
        }
    }
    for (std::size_t i = 0; i < readers.size(); ++i) {
        const std::string stage = "stage " + readers[i].group;
        options.tell(stage);
        std::map<Partition, State> written;
        const auto copy_state = [&]() -> Status {
            VIGIE_TRY_ASSIGN(written, copy_reader(from, to, readers[i], places[i]));
            return {};
        };
        VIGIE_TRY(patience.keep_trying(stage, copy_state));
        for (const auto& [partition, state] : written) {
            ++done.positions;
            done.rows += state.rows.size();
            if (state.begins_anew.empty()) continue;
            done.begun_anew.push_back(fmt::format("{} begins {} anew: {}", stage,
                                                  to_string(partition), state.begins_anew));
        }
    }
    return done;
}

Status begin_move(const std::string& data, const std::string& target) {
    return write_file(data + kMark, unfinished(target));
}

Status finish_move(const std::string& data) {
    return write_file(data + kMark, kFinished);
}

Result<bool> is_unfinished(const std::string& data, const std::string& target) {
    std::error_code error;
    if (!std::filesystem::exists(data + kMark, error)) return false;
    VIGIE_TRY_ASSIGN(const std::string mark, read_file(data + kMark, kMarkBytesMax));
    return mark == unfinished(target);
}

Status check_move(const std::string& data) {
    std::error_code error;
    if (std::filesystem::exists(data + kMark, error)) {
        VIGIE_TRY_ASSIGN(const std::string mark, read_file(data + kMark, kMarkBytesMax));
        if (mark == kFinished) return {};
        const bool names_target = mark.find(' ') != std::string::npos;
        return fail(
            ErrorKind::kConflict,
            fmt::format("the move of {}/bus to Kafka was begun and not finished ({}): {}", data,
                        mark.substr(0, mark.find('\n')),
                        names_target ? "run 'vigie migrate --to kafka' again, with the same "
                                       "bus.topic_prefix it goes on where it ended"
                                     : "delete the topics that it made, or choose another "
                                       "bus.topic_prefix, and run 'vigie migrate' again"));
    }
    if (!std::filesystem::exists(data + "/bus", error)) return {};
    return fail(
        ErrorKind::kConflict,
        fmt::format("{0}/bus has a log that is not on Kafka: run 'vigie migrate --to kafka', "
                    "or move {0}/bus away to begin without it",
                    data));
}

}  // namespace vigie::app
