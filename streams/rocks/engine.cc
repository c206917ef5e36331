#include "streams/rocks/engine.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "core/bytes.h"
#include "streams/checks.h"

namespace vigie::streams::rocks {

namespace {

constexpr std::string_view kReading = "read the embedded log";

std::unexpected<Error> missing(const Partition& partition, Offset offset) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("{}@{}: records are missing", to_string(partition), offset));
}

}  // namespace

Status Engine::load() {
    rocksdb::DB& db = database->db();
    std::string format;
    const auto found = db.Get({}, std::string(kFormatKey), &format);
    if (!found.ok() && !found.IsNotFound()) return fail(error_of(found, kReading));
    const bool known =
        format.size() == 1 && format.front() >= kLayoutOldest && format.front() <= kLayout;
    if (found.ok() && !known) {
        return fail(ErrorKind::kCorrupt,
                    fmt::format("{} was written by another version of Vigie", options.path));
    }
    const std::string newest(1, kLayout);
    if (!options.read_only && format != newest) {
        rocksdb::WriteOptions write;
        write.sync = options.sync;
        const auto put = db.Put(write, std::string(kFormatKey), newest);
        if (!put.ok()) return fail(error_of(put, "start the embedded log"));
    }
    const std::unique_ptr<rocksdb::Iterator> rows(db.NewIterator({}));
    for (rows->Seek(std::string(1, kTopicRow)); rows->Valid(); rows->Next()) {
        const std::string_view key = rows->key().ToStringView();
        if (key.front() != kTopicRow) break;
        VIGIE_TRY_ASSIGN(auto stored, decode_topic(key.substr(1), rows->value().ToStringView()));
        VIGIE_TRY(check_topic(stored, 0));
        VIGIE_TRY_ASSIGN(auto families, database->families(stored.name, stored.partitions));
        auto topic = std::make_unique<TopicLog>(std::move(stored), std::move(families));
        VIGIE_TRY(load_segments(*topic));
        std::string name = topic->name;
        topics.emplace(std::move(name), std::move(topic));
    }
    if (!rows->status().ok()) return fail(error_of(rows->status(), kReading));
    return {};
}

Status Engine::load_segments(TopicLog& topic) {
    const std::unique_ptr<rocksdb::Iterator> rows(database->db().NewIterator({}));
    for (std::int32_t index = 0; index < topic.partitions; ++index) {
        const Partition partition{topic.name, index};
        const std::string prefix = segment_prefix(partition);
        std::deque<Segment> segments;
        for (rows->Seek(prefix); rows->Valid() && rows->key().starts_with(prefix); rows->Next()) {
            VIGIE_TRY_ASSIGN(const Segment segment,
                             decode_segment(partition, rows->value().ToStringView()));
            if (!segments.empty() && segments.back().end != segment.base) {
                return fail(ErrorKind::kCorrupt,
                            fmt::format("{}@{}: a segment is missing", to_string(partition),
                                        segments.back().end));
            }
            segments.push_back(segment);
        }
        if (!rows->status().ok()) return fail(error_of(rows->status(), kReading));
        if (segments.empty()) segments.emplace_back();
        topic.log(index).segments = std::move(segments);
    }
    return {};
}

Result<TopicLog*> Engine::find_topic(std::string_view topic) const {
    const auto found = topics.find(topic);
    if (found == topics.end()) return no_such_topic(topic);
    return found->second.get();
}

Result<PartitionLog*> Engine::find_log(const Partition& partition) const {
    const auto found = topics.find(partition.topic);
    if (found == topics.end() || partition.index < 0 ||
        partition.index >= found->second->partitions) {
        return no_such_partition(partition);
    }
    return &found->second->log(partition.index);
}

Status Engine::room_for(std::size_t bytes) const {
    std::error_code error;
    const auto space = std::filesystem::space(options.path, error);
    if (error || space.available >= options.disk_free_bytes_min + bytes) return {};
    return fail(
        ErrorKind::kOverloaded,
        fmt::format("the disk of {} has {} bytes left; {} are to be written and {} kept free",
                    options.path, space.available, bytes, options.disk_free_bytes_min));
}

bool Engine::removed(const Partition& partition, Offset offset) const {
    const std::scoped_lock lock(mutex);
    const auto log = find_log(partition);
    return log && offset < (*log)->begin();
}

Result<std::vector<Record>> Engine::read(const Partition& partition,
                                         const ReadLimits& limits) const {
    std::vector<Record> records;
    records.reserve(std::min<std::size_t>(limits.records_max,
                                          static_cast<std::size_t>(limits.end - limits.from)));
    VIGIE_TRY(scan(partition, limits, [&](const RecordView& record) {
        records.push_back({partition, record.offset, record.message()});
        return true;
    }));
    return records;
}

Status Engine::scan(const Partition& partition, const ReadLimits& limits,
                    const Bus::Visitor& visit) const {
    rocksdb::ColumnFamilyHandle* family = nullptr;
    bool compacted = false;
    {
        const std::scoped_lock lock(mutex);
        VIGIE_TRY_ASSIGN(const TopicLog* topic, find_topic(partition.topic));
        family = topic->family(partition.index);
        compacted = topic->options.compacted;
    }
    const auto may_lack = [&](Offset offset) { return compacted || removed(partition, offset); };
    const std::string bound = chunk_key(partition.index + 1, 0);
    const rocksdb::Slice upper(bound);
    rocksdb::ReadOptions options_read;
    options_read.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> chunks(
        database->db().NewIterator(options_read, family));
    const std::string start = chunk_key(partition.index, limits.from);
    // The chunk that holds `from` begins at or before it; retention may have removed it.
    chunks->SeekForPrev(start);
    if (!chunks->Valid() && chunks->status().ok()) chunks->Seek(start);
    std::size_t bytes = 0;
    std::size_t count = 0;
    std::string buffer;
    Offset next = limits.from;
    for (; chunks->Valid() && next < limits.end; chunks->Next()) {
        const auto key = parse_chunk_key(chunks->key().ToStringView());
        if (!key) {
            return fail(ErrorKind::kCorrupt,
                        fmt::format("{}@{}: a chunk has no valid key", to_string(partition), next));
        }
        if (key->partition != partition.index) continue;
        if (key->base > next && !may_lack(next)) return missing(partition, next);
        VIGIE_TRY_ASSIGN(ChunkReader chunk, ChunkReader::open(chunks->value().ToStringView(),
                                                              partition, key->base, buffer));
        while (chunk.next_offset() < std::min(limits.from, chunk.end_offset())) {
            VIGIE_TRY(chunk.skip());
        }
        while (chunk.next_offset() < std::min(chunk.end_offset(), limits.end)) {
            if (count >= limits.records_max || bytes >= limits.bytes_max) return {};
            VIGIE_TRY_ASSIGN(const RecordView record, chunk.next());
            ++count;
            bytes += record.bytes();
            next = record.offset + 1;
            if (!visit(record)) return {};
        }
        VIGIE_TRY(chunk.finish());
    }
    if (!chunks->status().ok()) {
        return fail(error_of(chunks->status(), fmt::format("{}@{}", to_string(partition), next)));
    }
    if (next < limits.end && !may_lack(next)) return missing(partition, next);
    return {};
}

Result<Offset> Engine::position(std::string_view group, const Partition& partition) const {
    std::string value;
    const auto status =
        database->db().Get({}, database->state(), group_prefix(group, partition) + 'p', &value);
    if (status.IsNotFound()) return Offset{0};
    if (!status.ok()) return fail(error_of(status, kReading));
    std::string_view rest = value;
    const auto format = take_bytes(rest, 1);
    const auto offset = take_u64(rest);
    if (!format || format->front() != kFormat || !offset || !rest.empty()) {
        return fail(ErrorKind::kCorrupt,
                    fmt::format("the position of group {} on {} has an unknown format", group,
                                to_string(partition)));
    }
    return static_cast<Offset>(*offset);
}

}  // namespace vigie::streams::rocks
