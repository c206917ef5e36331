#include <charconv>
#include <iostream>

#include <fmt/format.h>

#include "app/log_access.h"
#include "app/log_commands.h"
#include "app/log_text.h"
#include "app/pipeline.h"
#include "schemas/json.h"
#include "schemas/topics.h"
#include "streams/context.h"

namespace vigie::app {

namespace {

using schemas::Json;
using streams::Offset;
using streams::Partition;

constexpr std::chrono::milliseconds kAssignmentWait{10'000};
constexpr std::chrono::milliseconds kAssignmentPoll{200};

int outcome(const Status& status) {
    if (status) return 0;
    fmt::print(stderr, "vigie: {}\n", status.error().message);
    return 1;
}

// The partitions a command is about, each of which exists.
Result<std::vector<Partition>> chosen(const streams::Bus& bus, const LogCommand& command) {
    VIGIE_TRY_ASSIGN(const std::int32_t count, bus.partition_count(command.topic));
    if (command.partition && *command.partition >= count) {
        return fail(ErrorKind::kNotFound,
                    fmt::format("{} has {} partitions, from 0 on", command.topic, count));
    }
    std::vector<Partition> out;
    for (std::int32_t i = 0; i < count; ++i) {
        if (!command.partition || *command.partition == i) out.push_back({command.topic, i});
    }
    return out;
}

Status list(const LogCommand& command) {
    VIGIE_TRY_ASSIGN(const auto access, LogAccess::open(command.place, LogAccess::Intent::kLook));
    std::vector<std::vector<std::string>> rows{{"TOPIC", "PARTITIONS", "RECORDS", "OLDEST", "END"}};
    Json all = Json::array();
    for (const std::string_view topic : schemas::topics::kAll) {
        VIGIE_TRY_ASSIGN(const std::int32_t count, access->bus().partition_count(topic));
        Offset records = 0;
        Offset oldest = 0;
        Offset end = 0;
        for (std::int32_t i = 0; i < count; ++i) {
            VIGIE_TRY_ASSIGN(const auto range, access->bus().range({std::string(topic), i}));
            records += range.end - range.begin;
            oldest += range.begin;
            end += range.end;
        }
        rows.push_back({std::string(topic), std::to_string(count), std::to_string(records),
                        std::to_string(oldest), std::to_string(end)});
        all.push_back({{"topic", topic}, {"partitions", count}, {"records", records}});
    }
    std::cout << (command.format == Format::kTable ? table(rows) : formatted(all, command.format));
    return {};
}

Status describe(const LogCommand& command) {
    VIGIE_TRY_ASSIGN(const auto access, LogAccess::open(command.place, LogAccess::Intent::kLook));
    VIGIE_TRY_ASSIGN(const auto partitions, chosen(access->bus(), command));
    std::vector<std::vector<std::string>> rows{
        {"PARTITION", "OLDEST", "END", "STAGE", "AT", "LAG"}};
    Json all = Json::array();
    for (const Partition& partition : partitions) {
        VIGIE_TRY_ASSIGN(const auto range, access->bus().range(partition));
        const std::string index = std::to_string(partition.index);
        Json stages = Json::array();
        for (const Reader& reader : readers()) {
            if (std::find(reader.topics.begin(), reader.topics.end(), command.topic) ==
                reader.topics.end()) {
                continue;
            }
            VIGIE_TRY_ASSIGN(const Offset at,
                             access->bus().group_position(reader.group, partition));
            const Offset lag = range.end - std::max(at, range.begin);
            rows.push_back({index, std::to_string(range.begin), std::to_string(range.end),
                            reader.group, std::to_string(at), std::to_string(lag)});
            stages.push_back({{"stage", reader.group}, {"at", at}, {"lag", lag}});
        }
        if (stages.empty()) {
            rows.push_back({index, std::to_string(range.begin), std::to_string(range.end), "-"});
        }
        all.push_back({{"partition", partition.index},
                       {"oldest", range.begin},
                       {"end", range.end},
                       {"stages", std::move(stages)}});
    }
    std::cout << (command.format == Format::kTable ? table(rows) : formatted(all, command.format));
    return {};
}

Status read(const LogCommand& command) {
    VIGIE_TRY_ASSIGN(const auto access, LogAccess::open(command.place, LogAccess::Intent::kLook));
    VIGIE_TRY_ASSIGN(const auto partitions, chosen(access->bus(), command));
    std::size_t left = command.records_max;
    bool more = false;
    for (const Partition& partition : partitions) {
        Offset from = command.from.value_or(0);
        if (command.since) {
            VIGIE_TRY_ASSIGN(const EventTime since, parse_rfc3339(*command.since));
            VIGIE_TRY_ASSIGN(from, streams::find_offset(access->bus(), partition, since));
        }
        if (more) break;
        VIGIE_TRY(for_each_record(
            access->bus(), partition, from, [&](const streams::Record& record) -> Result<bool> {
                const bool tick = header_of(record.message, schemas::topics::kHeaderKind) ==
                                  schemas::topics::kKindTick;
                if (tick && !command.ticks) return true;
                more = left == 0;
                if (more) {
                    std::cout.flush();
                    fmt::print(stderr,
                               "vigie: more follow, the next at {} offset {}: --from, or a larger "
                               "--max\n",
                               streams::to_string(partition), record.offset);
                    return false;
                }
                std::cout << record_line(record) << '\n';
                --left;
                return true;
            }));
    }
    std::cout.flush();
    return {};
}

// Where `to` points in one partition.
Result<Offset> target_of(const streams::Bus& bus, const Partition& partition,
                         const std::string& to) {
    VIGIE_TRY_ASSIGN(const auto range, bus.range(partition));
    if (to == "begin") return range.begin;
    if (to == "end") return range.end;
    Offset offset = 0;
    const auto [last, error] = std::from_chars(to.data(), to.data() + to.size(), offset);
    if (error == std::errc{} && last == to.data() + to.size()) {
        if (offset >= range.begin && offset <= range.end) return offset;
        return fail(ErrorKind::kInvalid,
                    fmt::format("{} has offsets {} to {}", streams::to_string(partition),
                                range.begin, range.end));
    }
    const auto time = parse_rfc3339(to);
    if (!time) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("'{}' is not begin, end, an offset or a time (RFC 3339)", to));
    }
    return streams::find_offset(bus, partition, *time);
}

struct Member final : streams::AssignmentListener {
    Status on_assigned(std::span<const Partition> partitions) override {
        assigned.insert(assigned.end(), partitions.begin(), partitions.end());
        return {};
    }
    void on_revoked(std::span<const Partition>) override {}

    std::vector<Partition> assigned;
};

// Joins the stage's group until all `partitions` are ours.
Result<std::unique_ptr<streams::Consumer>> take_over(LogAccess& access, const Reader& reader,
                                                     const std::vector<Partition>& partitions,
                                                     Member& member) {
    VIGIE_TRY_ASSIGN(const std::size_t others, access.group_members(reader.group));
    if (others > 0) {
        return fail(ErrorKind::kConflict,
                    fmt::format("stage {} runs, or did less than session.timeout.ms ago: stop "
                                "Vigie first, then try again",
                                reader.group));
    }
    VIGIE_TRY_ASSIGN(auto consumer, access.bus().subscribe({reader.group, reader.topics}, member));
    const auto is_ours = [&](const Partition& partition) {
        return std::find(member.assigned.begin(), member.assigned.end(), partition) !=
               member.assigned.end();
    };
    const SystemClock clock;
    const SteadyTime until = clock.steady() + kAssignmentWait;
    while (!std::all_of(partitions.begin(), partitions.end(), is_ours)) {
        if (clock.steady() >= until) {
            return fail(ErrorKind::kConflict, fmt::format("stage {} is not given up by a process "
                                                          "that runs: stop Vigie first",
                                                          reader.group));
        }
        // What is polled is not processed: only a commit moves the position.
        VIGIE_TRY(consumer->poll({1, kAssignmentPoll}));
    }
    return consumer;
}

Status move(LogAccess& access, const Reader& reader, const std::vector<Partition>& partitions,
            const LogCommand& command) {
    Member member;
    VIGIE_TRY_ASSIGN(const auto consumer, take_over(access, reader, partitions, member));
    const streams::Bus& bus = access.bus();
    for (const Partition& partition : partitions) {
        VIGIE_TRY_ASSIGN(const Offset target, target_of(bus, partition, command.to));
        VIGIE_TRY_ASSIGN(const Offset before, consumer->position(partition));
        streams::Changes nothing;
        if (!command.keep_state) {
            VIGIE_TRY_ASSIGN(nothing, streams::StepContext::erase_all(consumer->store(partition)));
        }
        const std::size_t rows = nothing.size();
        VIGIE_TRY(consumer->commit({partition, target, std::move(nothing), {}}));
        fmt::print("{}: stage {} moved from {} to {}, {} rows of its state forgotten\n",
                   streams::to_string(partition), reader.group, before, target, rows);
    }
    return {};
}

Status reset(const LogCommand& command) {
    const auto all = readers();
    const auto reader = std::find_if(all.begin(), all.end(),
                                     [&](const Reader& r) { return r.group == command.group; });
    if (reader == all.end()) {
        std::string known;
        for (const Reader& other : all) known += (known.empty() ? "" : ", ") + other.group;
        return fail(ErrorKind::kNotFound,
                    fmt::format("there is no stage '{}'; stages: {}", command.group, known));
    }
    const bool reads = std::find(reader->topics.begin(), reader->topics.end(), command.topic) !=
                       reader->topics.end();
    if (!reads) {
        return fail(ErrorKind::kInvalid,
                    fmt::format("stage {} does not read {}; it reads {}", command.group,
                                command.topic, fmt::join(reader->topics, ", ")));
    }
    const auto intent = command.confirmed ? LogAccess::Intent::kChange : LogAccess::Intent::kLook;
    VIGIE_TRY_ASSIGN(const auto access, LogAccess::open(command.place, intent));
    VIGIE_TRY_ASSIGN(const auto partitions, chosen(access->bus(), command));
    if (command.confirmed) return move(*access, *reader, partitions, command);
    for (const Partition& partition : partitions) {
        VIGIE_TRY_ASSIGN(const Offset target, target_of(access->bus(), partition, command.to));
        VIGIE_TRY_ASSIGN(const Offset at, access->bus().group_position(reader->group, partition));
        fmt::print("{}: stage {} would move from {} to {} and {} its state\n",
                   streams::to_string(partition), reader->group, at, target,
                   command.keep_state ? "keep" : "forget");
    }
    return fail(ErrorKind::kRefused, "nothing was changed: say --yes when this is meant");
}

}  // namespace

int run_topics_list(const LogCommand& command) {
    return outcome(list(command));
}

int run_topics_describe(const LogCommand& command) {
    return outcome(describe(command));
}

int run_topics_read(const LogCommand& command) {
    return outcome(read(command));
}

int run_topics_reset(const LogCommand& command) {
    return outcome(reset(command));
}

}  // namespace vigie::app
