#include "streams/rocks/compaction.h"

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace vigie::streams::rocks {

namespace {

// Records of further keys are all kept.
constexpr std::size_t kKeysMax = 1'000'000;
constexpr std::size_t kKeyBytesMax = std::size_t{32} << 20U;
constexpr std::size_t kBatchBytesMax = std::size_t{1} << 20U;

struct Chunk {
    std::string key;
    std::vector<Record> records;
};

// `visit` says false to end.
Status for_each_chunk(Engine& engine, const TopicLog& topic, std::int32_t index, Offset end,
                      const std::function<Result<bool>(Chunk)>& visit) {
    const std::string bound = chunk_key(index, end);
    const rocksdb::Slice upper(bound);
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &upper;
    options.fill_cache = false;
    const std::unique_ptr<rocksdb::Iterator> at(
        engine.database->db().NewIterator(options, topic.family(index)));
    const Partition partition{topic.name, index};
    std::string buffer;
    for (at->Seek(chunk_key(index, 0)); at->Valid(); at->Next()) {
        Chunk chunk{at->key().ToString(), {}};
        const auto key = parse_chunk_key(chunk.key);
        if (!key) return fail(ErrorKind::kCorrupt, to_string(partition) + ": a chunk has no key");
        VIGIE_TRY_ASSIGN(ChunkReader reader, ChunkReader::open(at->value().ToStringView(),
                                                               partition, key->base, buffer));
        while (reader.next_offset() < reader.end_offset()) {
            VIGIE_TRY_ASSIGN(const RecordView record, reader.next());
            chunk.records.push_back({partition, record.offset, record.message()});
        }
        VIGIE_TRY_ASSIGN(const bool more, visit(std::move(chunk)));
        if (!more) return {};
    }
    if (!at->status().ok()) return fail(error_of(at->status(), "compact " + topic.name));
    return {};
}

// The records, in a chunk for each run without a hole.
void put_chunks(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family, std::int32_t index,
                const std::vector<Record>& records) {
    std::string value;
    for (auto first = records.begin(); first != records.end();) {
        std::string body;
        std::uint32_t count = 0;
        auto next = first;
        for (; next != records.end() && next->offset == first->offset + count; ++next, ++count) {
            append_record(body, next->message);
        }
        encode_chunk(count, body, value);
        batch.Put(family, chunk_key(index, first->offset), value);
        first = next;
    }
}

}  // namespace

Result<std::size_t> compact(Engine& engine, const TopicLog& topic, std::int32_t index, Offset end,
                            const std::atomic<bool>& canceled) {
    std::unordered_map<std::string, Offset> newest;
    std::size_t key_bytes = 0;
    const auto learn = [&](Chunk chunk) -> Result<bool> {
        for (Record& record : chunk.records) {
            const auto found = newest.find(record.message.key);
            if (found != newest.end()) {
                found->second = record.offset;
            } else if (newest.size() < kKeysMax &&
                       key_bytes + record.message.key.size() <= kKeyBytesMax) {
                key_bytes += record.message.key.size();
                newest.emplace(std::move(record.message.key), record.offset);
            }
        }
        return !canceled;
    };
    VIGIE_TRY(for_each_chunk(engine, topic, index, end, learn));
    std::size_t kept = 0;
    rocksdb::WriteBatch batch;
    const auto write = [&]() -> Status {
        const auto status = engine.database->db().Write({}, &batch);
        batch.Clear();
        if (!status.ok()) return fail(error_of(status, "compact " + topic.name));
        return {};
    };
    const auto rewrite = [&](Chunk chunk) -> Result<bool> {
        if (canceled) return false;
        const std::size_t before = chunk.records.size();
        std::erase_if(chunk.records, [&](const Record& record) {
            const auto found = newest.find(record.message.key);
            return found != newest.end() && found->second > record.offset;
        });
        kept += chunk.records.size();
        if (chunk.records.size() == before) return true;
        batch.Delete(topic.family(index), chunk.key);
        put_chunks(batch, topic.family(index), index, chunk.records);
        if (batch.GetDataSize() >= kBatchBytesMax) VIGIE_TRY(write());
        return true;
    };
    VIGIE_TRY(for_each_chunk(engine, topic, index, end, rewrite));
    VIGIE_TRY(write());
    return kept;
}

}  // namespace vigie::streams::rocks
