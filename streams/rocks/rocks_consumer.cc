#include "streams/rocks/rocks_consumer.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace vigie::streams::rocks {

namespace {

Result<std::string_view> state_value(std::string_view row) {
    if (row.empty() || row.front() != kFormat) {
        return fail(ErrorKind::kCorrupt, "a state row has an unknown format");
    }
    return row.substr(1);
}

}  // namespace

Result<std::optional<std::string>> RocksStore::get(std::string_view key) const {
    std::string row;
    Database& database = *engine_.database;
    const auto status = database.db().Get({}, database.state(), prefix_ + std::string(key), &row);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return fail(error_of(status, "read state"));
    VIGIE_TRY_ASSIGN(const std::string_view value, state_value(row));
    return std::string(value);
}

Status RocksStore::scan(std::string_view prefix, const Visitor& visit) const {
    Database& database = *engine_.database;
    const std::string begin = prefix_ + std::string(prefix);
    const std::string end = prefix_end(begin);
    const rocksdb::Slice upper(end);
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> rows(
        database.db().NewIterator(options, database.state()));
    for (rows->Seek(begin); rows->Valid(); rows->Next()) {
        VIGIE_TRY_ASSIGN(const std::string_view value, state_value(rows->value().ToStringView()));
        if (!visit(rows->key().ToStringView().substr(prefix_.size()), value)) return {};
    }
    if (!rows->status().ok()) return fail(error_of(rows->status(), "scan state"));
    return {};
}

RocksConsumer::RocksConsumer(Engine& engine, Committer& committer, std::string group,
                             Groups::MemberId member, AssignmentListener& listener)
    : engine_(engine),
      committer_(committer),
      group_(std::move(group)),
      member_(member),
      listener_(listener) {}

RocksConsumer::~RocksConsumer() {
    {
        const std::scoped_lock lock(engine_.mutex);
        engine_.groups.leave(member_);
    }
    engine_.changed.notify_all();
}

Status RocksConsumer::follow_assignment() {
    AssignmentDiff diff;
    {
        const std::scoped_lock lock(engine_.mutex);
        if (version_seen_ == engine_.groups.version()) return {};
        std::map<Partition, Groups::Epoch> known;
        for (const auto& [partition, held] : held_) known.emplace(partition, held.epoch);
        diff = diff_assignment(known, engine_.groups.owned(member_));
        version_seen_ = engine_.groups.version();
    }
    if (!diff.revoked.empty()) listener_.on_revoked(diff.revoked);
    for (const Partition& partition : diff.revoked) held_.erase(partition);
    if (diff.assigned.empty()) return {};
    Status status = take_over(diff.assigned);
    if (!status) broken_ = true;
    return status;
}

Status RocksConsumer::take_over(const std::map<Partition, Groups::Epoch>& assigned) {
    std::vector<Partition> partitions;
    {
        // Waits for the write in progress: it may be the last one of the old owner, and from
        // here on its epoch is refused.
        const std::scoped_lock applying(engine_.apply_mutex);
        for (const auto& [partition, epoch] : assigned) {
            VIGIE_TRY_ASSIGN(const Offset next, engine_.position(group_, partition));
            held_[partition] =
                Held{epoch, next, std::make_unique<RocksStore>(engine_, group_, partition)};
            partitions.push_back(partition);
        }
    }
    return listener_.on_assigned(partitions);
}

bool RocksConsumer::ready() const {
    if (version_seen_ != engine_.groups.version()) return true;
    return std::any_of(held_.begin(), held_.end(), [this](const auto& entry) {
        return entry.second.next < (*engine_.find_log(entry.first))->end();
    });
}

Result<std::vector<Record>> RocksConsumer::poll(const PollLimits& limits) {
    if (broken_) return fail(ErrorKind::kUnavailable, "this consumer failed: subscribe again");
    VIGIE_TRY(follow_assignment());
    {
        std::unique_lock lock(engine_.mutex);
        if (limits.wait_max.count() > 0 && !ready()) {
            engine_.changed.wait_for(lock, limits.wait_max, [this] { return ready(); });
        }
    }
    VIGIE_TRY(follow_assignment());
    return collect(limits.records_max);
}

Result<std::vector<Record>> RocksConsumer::collect(std::size_t records_max) {
    std::vector<Record> records;
    Status first_error;
    if (held_.empty()) return records;
    auto entry = std::next(held_.begin(), static_cast<std::ptrdiff_t>(first_++ % held_.size()));
    std::size_t bytes_left = Engine::ReadLimits{}.bytes_max;
    for (std::size_t left = held_.size();
         left != 0 && records.size() < records_max && bytes_left != 0; --left) {
        const auto& [partition, held] = *entry;
        Bus::Range range;
        bool compacted = false;
        {
            const std::scoped_lock lock(engine_.mutex);
            const PartitionLog* log = *engine_.find_log(partition);
            range = {log->begin(), log->end()};
            compacted = (*engine_.find_topic(partition.topic))->options.compacted;
        }
        // An equal share of what is left, so that no partition starves behind another.
        const std::size_t share = std::max<std::size_t>((records_max - records.size()) / left, 1);
        const Offset from = std::max(held.next, range.begin);
        if (from < range.end) {
            const Engine::ReadLimits limits{
                .from = from, .end = range.end, .records_max = share, .bytes_max = bytes_left};
            Offset expected = held.next;
            const Status done = engine_.scan(partition, limits, [&](const RecordView& record) {
                // By retention, perhaps a moment ago; the holes of a compacted topic are not said.
                const Offset removed = (compacted ? range.begin : record.offset) - expected;
                records.push_back({record.partition, record.offset, record.message(),
                                   std::max<Offset>(removed, 0)});
                expected = record.offset + 1;
                bytes_left -= std::min(bytes_left, record.bytes());
                return true;
            });
            if (!done && first_error) first_error = done;
        }
        if (++entry == held_.end()) entry = held_.begin();
    }
    // What is whole is given out first: the next poll finds the damage again, and nothing before
    // it.
    if (records.empty() && !first_error) return fail(first_error.error());
    for (const Record& record : records) held_.at(record.partition).next = record.offset + 1;
    return records;
}

const Store& RocksConsumer::store(const Partition& partition) const {
    const auto held = held_.find(partition);
    VIGIE_ASSERT(held != held_.end());
    return *held->second.store;
}

Result<Offset> RocksConsumer::position(const Partition& partition) const {
    return engine_.position(group_, partition);
}

Status RocksConsumer::commit(Step step) {
    if (broken_) return fail(ErrorKind::kUnavailable, "this consumer failed: subscribe again");
    const auto held = held_.find(step.input);
    if (held == held_.end()) {
        return fail(ErrorKind::kConflict,
                    fmt::format("{} is not assigned to this member of group {}",
                                to_string(step.input), group_));
    }
    Request request;
    VIGIE_TRY_ASSIGN(request.outputs, encode(engine_, step.outputs));
    request.step = Request::StepPart{group_,     member_,   held->second.epoch,
                                     step.input, step.next, std::move(step.state)};
    std::mutex mutex;  // Protects `answer`.
    std::condition_variable answered;
    std::optional<Status> answer;
    request.done = [&](Status status) {
        // Notifies under the lock: the waiter may destroy both as soon as it can take it.
        const std::scoped_lock lock(mutex);
        answer = std::move(status);
        answered.notify_one();
    };
    committer_.submit(std::move(request));
    std::unique_lock lock(mutex);
    answered.wait(lock, [&] { return answer.has_value(); });
    if (!*answer && answer->error().kind == ErrorKind::kUnavailable) broken_ = true;
    return *std::move(answer);
}

std::string RocksConsumer::owner_of(const Partition& partition) const {
    return group_ + "/" + to_string(partition);
}

Result<std::string> RocksConsumer::save_bulk(const Partition& partition, std::string_view bytes) {
    VIGIE_TRY(engine_.room_for(bytes.size()));
    return engine_.bulk_files.save(owner_of(partition), bytes);
}

Result<std::string> RocksConsumer::load_bulk(const Partition& partition,
                                             std::string_view reference) {
    return engine_.bulk_files.load(owner_of(partition), reference);
}

void RocksConsumer::keep_bulk(const Partition& partition, std::string_view reference) {
    engine_.bulk_files.keep(owner_of(partition), reference);
}

}  // namespace vigie::streams::rocks
