#include "streams/kafka/reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "streams/kafka/encoding.h"
#include "streams/runtime.h"

namespace vigie::streams::kafka {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSlice{100};
constexpr milliseconds kSettleMax{1000};
constexpr milliseconds kSettleRetry{5};
// As the embedded log: passed by at most one record.
constexpr std::size_t kReadBytesMax = std::size_t{16} << 20U;

}  // namespace

Result<std::unique_ptr<Reader>> Reader::open(const Cluster& cluster) {
    std::unique_ptr<Reader> reader(new Reader(cluster));
    VIGIE_TRY_ASSIGN(reader->handle_,
                     cluster.open_consumer({{"enable.partition.eof", "true"},
                                            // Only a consumer with a group may be assigned to.
                                            {"group.id", cluster.group_name("reader")},
                                            // The end is told only after such a wait.
                                            {"fetch.wait.max.ms", "10"}},
                                           reader->hooks_));
    rd_kafka_poll_set_consumer(reader->handle_.get());
    return reader;
}

Status Reader::start(const Partition& partition, Offset from) {
    partition_ = partition;
    const PartitionList list = make_list();
    const std::string name = cluster_.full_name(partition.topic);
    rd_kafka_topic_partition_list_add(list.get(), name.c_str(), partition.index)->offset = from;
    const auto code = rd_kafka_assign(handle_.get(), list.get());
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    return fail(error_of(code, "read " + to_string(partition)));
}

void Reader::stop() {
    rd_kafka_assign(handle_.get(), nullptr);
}

Result<Reader::Next> Reader::next(milliseconds wait_max) {
    Owned<rd_kafka_message_t> message(
        rd_kafka_consumer_poll(handle_.get(), static_cast<int>(wait_max.count())));
    Next next;
    if (!message) return next;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        next.end = message->offset;
        return next;
    }
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        VIGIE_TRY(start(partition_, RD_KAFKA_OFFSET_BEGINNING));
        return fail(ErrorKind::kNotFound,
                    fmt::format("{}: retention overtook the reader", to_string(partition_)));
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return fail(error_of(message->err, "read " + to_string(partition_)));
    }
    next.record = std::move(message);
    return next;
}

namespace {

// What can be read. A transaction is acknowledged a moment before its records can be read: what
// is written already is waited for, so that everybody reads what they wrote. Not for long: the
// transaction of a dead producer stays undecided until it times out.
Result<Bus::Range> settled_range(const Cluster& cluster, const Partition& partition) {
    VIGIE_TRY_ASSIGN(const auto written, cluster.range(partition, Cluster::End::kWritten));
    const SteadyTime until = cluster.clock.steady() + kSettleMax;
    while (true) {
        VIGIE_TRY_ASSIGN(const auto range, cluster.range(partition, Cluster::End::kStable));
        if (range.end >= written.end || cluster.over(until)) return range;
        wait_for(kSettleRetry, {});
    }
}

}  // namespace

Result<std::vector<Record>> read(const Cluster& cluster, const Partition& partition, Offset from,
                                 const PollLimits& limits) {
    VIGIE_TRY_ASSIGN(const auto range, settled_range(cluster, partition));
    from = std::max(from, range.begin);
    std::vector<Record> records;
    if (limits.records_max == 0 || (from >= range.end && limits.wait_max.count() <= 0)) {
        return records;
    }
    VIGIE_TRY_ASSIGN(const auto reader, cluster.lease_reader());
    // A reader cannot stand beyond the end: from there on, records come when they exist.
    VIGIE_TRY(reader->start(partition, std::min(from, range.end)));
    const SteadyTime until = cluster.clock.steady() + limits.wait_max;
    SteadyTime silent_until = cluster.deadline();
    bool at_end = from >= range.end;
    std::size_t bytes = 0;
    while (records.size() < limits.records_max && bytes < kReadBytesMax) {
        // What lies below the end is worth an answer's wait; beyond it only `wait_max`.
        const SteadyTime give_up = at_end ? until : silent_until;
        if (at_end && !records.empty()) break;
        auto next = reader->next(std::min(milliseconds{cluster.slice_ms(give_up)}, kSlice));
        if (!next && next.error().kind != ErrorKind::kNotFound) return fail(next.error());
        if (next && next->record) {
            if (next->record->offset < from) continue;
            records.push_back(record_of(*next->record, partition));
            bytes += bytes_of(records.back().message);
            silent_until = cluster.deadline();
            at_end = records.back().offset + 1 >= range.end;
            continue;
        }
        if (next && next->end && *next->end >= range.end) at_end = true;
        if (!cluster.over(give_up)) continue;
        if (at_end || !records.empty()) break;
        return fail(ErrorKind::kUnavailable,
                    fmt::format("read {}: no broker answers", to_string(partition)));
    }
    return records;
}

}  // namespace vigie::streams::kafka
