#include "streams/rocks/committer.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <rocksdb/convenience.h>

#include "core/bytes.h"
#include "streams/checks.h"
#include "streams/rocks/metrics.h"

namespace vigie::streams::rocks {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kBatchBytesMax = std::size_t{16} << 20U;
constexpr std::size_t kChunkBytesMax = std::size_t{256} << 10U;
constexpr milliseconds kIdleWaitMax{1000};

std::int64_t to_ms(WallTime at) {
    return at.time_since_epoch().count();
}

}  // namespace

std::size_t Request::records() const {
    std::size_t records = 0;
    for (const Output& output : outputs) records += output.records;
    return records;
}

std::size_t Request::bytes() const {
    std::size_t bytes = 0;
    for (const Output& output : outputs) bytes += output.bytes.size();
    return bytes;
}

Result<std::vector<Request::Output>> encode(const Engine& engine,
                                            const std::vector<Message>& messages) {
    std::vector<Request::Output> outputs;
    TopicLog* topic = nullptr;
    for (const Message& message : messages) {
        if (topic == nullptr || topic->name != message.topic) {
            const std::scoped_lock lock(engine.mutex);
            VIGIE_TRY_ASSIGN(topic, engine.find_topic(message.topic));
        }
        VIGIE_TRY(check_size(message, engine.options.record_bytes_max));
        const std::int32_t partition = partition_of(message.key, topic->partitions);
        // The newest of the partition: an older one may have been closed for its size.
        auto output = std::find_if(outputs.rbegin(), outputs.rend(), [&](const auto& one) {
            return one.topic == topic && one.partition == partition;
        });
        if (output == outputs.rend() || output->bytes.size() >= kChunkBytesMax) {
            outputs.push_back({topic, partition, 0, {}});
            output = outputs.rbegin();
            output->bytes.reserve(bytes_of(message) + 64);
        }
        append_record(output->bytes, message);
        ++output->records;
    }
    return outputs;
}

// What one group commit writes. Offsets are given here and published by the committer once
// they are durable.
class Committer::Batch {
public:
    Batch(Engine& engine, std::int64_t now_ms) : engine_(engine), now_ms_(now_ms) {}

    // Takes the outputs out of it.
    void add(Request& request) {
        for (Request::Output& output : request.outputs) add(output);
        if (request.step) add(*request.step);
    }

    rocksdb::WriteBatch& finish() {
        for (auto& [key, draft] : drafts_) {
            flush(*key.first, key.second, draft);
            const Partition partition{key.first->name, key.second};
            batch_.Put(segment_key(partition, draft.active.base), encode_segment(draft.active));
        }
        return batch_;
    }

    // With Engine::mutex held.
    void publish() {
        for (auto& [key, draft] : drafts_) {
            auto& segments = key.first->log(key.second).segments;
            if (segments.back().base == draft.active.base) segments.pop_back();
            segments.push_back(draft.active);
        }
    }

    std::uint64_t records() const { return records_; }
    std::uint64_t bytes() const { return bytes_; }

private:
    struct Draft {
        Segment active;
        std::string chunk;  // Records only, without the header.
        Offset base = 0;
    };

    void add(Request::Output& output) {
        const std::pair key{output.topic, output.partition};
        auto found = drafts_.find(key);
        if (found == drafts_.end())
            found = drafts_.emplace(key, start(*output.topic, output.partition)).first;
        Draft& draft = found->second;
        if (draft.chunk.size() + output.bytes.size() > kChunkBytesMax) {
            flush(*output.topic, output.partition, draft);
        }
        draft.active.end += output.records;
        draft.active.bytes += output.bytes.size();
        records_ += output.records;
        bytes_ += output.bytes.size();
        if (draft.chunk.empty()) {
            draft.chunk = std::move(output.bytes);
        } else {
            draft.chunk += output.bytes;
        }
    }

    Draft start(TopicLog& topic, std::int32_t index) {
        const std::scoped_lock lock(engine_.mutex);
        Segment active = topic.log(index).segments.back();
        // A sixteenth of what is kept: so much more than asked for can be there.
        const TopicOptions& kept = topic.options;
        const auto bytes_max =
            kept.retention_bytes == 0
                ? 0
                : std::max<std::uint64_t>(static_cast<std::uint64_t>(kept.retention_bytes) / 16, 1);
        const std::int64_t age_max = milliseconds{kept.retention}.count() / 16;
        const bool full = (bytes_max != 0 && active.bytes >= bytes_max) ||
                          now_ms_ - active.first_ms >= std::max<std::int64_t>(age_max, 1);
        if (!active.empty() && full) active = Segment{active.end, active.end, 0, 0, 0};
        if (active.empty()) active.first_ms = now_ms_;
        active.last_ms = now_ms_;
        return {active, {}, active.end};
    }

    void flush(const TopicLog& topic, std::int32_t index, Draft& draft) {
        if (draft.base == draft.active.end) return;
        const auto count = static_cast<std::uint32_t>(draft.active.end - draft.base);
        encode_chunk(count, draft.chunk, value_);
        batch_.Put(topic.family(index), chunk_key(index, draft.base), value_);
        draft.chunk.clear();
        draft.base = draft.active.end;
    }

    void add(const Request::StepPart& step) {
        auto* const family = engine_.database->state();
        const std::string prefix = group_prefix(step.group, step.input);
        if (step.next) {
            std::string value(1, kFormat);
            put_u64(value, static_cast<std::uint64_t>(*step.next));
            batch_.Put(family, prefix + 'p', value);
        }
        for (const auto& [key, value] : step.state) {
            std::string row = prefix;
            row += 's';
            row += key;
            if (value) {
                std::string content(1, kFormat);
                content += *value;
                batch_.Put(family, row, content);
            } else {
                batch_.Delete(family, row);
            }
        }
    }

    Engine& engine_;
    const std::int64_t now_ms_;
    rocksdb::WriteBatch batch_;
    std::string value_;
    std::map<std::pair<TopicLog*, std::int32_t>, Draft> drafts_;
    std::uint64_t records_ = 0;
    std::uint64_t bytes_ = 0;
};

Committer::Committer(Engine& engine)
    : engine_(engine),
      records_(engine.metrics.counter(metrics::kRecords)),
      bytes_(engine.metrics.counter(metrics::kBytes)),
      writes_failed_(engine.metrics.counter(metrics::kWriteFailed)),
      queue_full_(engine.metrics.counter(metrics::kRefused, {{"reason", "queue_full"}})),
      disk_full_(engine.metrics.counter(metrics::kRefused, {{"reason", "disk_full"}})),
      expired_(engine.metrics.counter(metrics::kExpired)),
      queue_records_gauge_(engine.metrics.gauge(metrics::kQueueRecords)),
      write_seconds_(engine.metrics.histogram(metrics::kWriteSeconds)),
      retained_at_(engine.clock.steady()),
      thread_("log-committer", [this](const std::stop_token& stop) { run(stop); }) {}

Committer::~Committer() = default;

void Committer::submit(Request request) {
    const std::size_t records = request.records();
    const std::size_t bytes = request.bytes();
    bool full = false;
    {
        const std::scoped_lock lock(mutex_);
        const RocksBus::Options& limits = engine_.options;
        // Whatever its size, an append that finds the queue empty is taken.
        full = !request.step && !queue_.empty() &&
               (queue_records_ + records > limits.append_queue_max ||
                queue_bytes_ + bytes > limits.append_queue_bytes_max);
        if (!full) {
            queue_records_ += records;
            queue_bytes_ += bytes;
            queue_records_gauge_.set(static_cast<double>(queue_records_));
            queue_.push_back(std::move(request));
            waiting_.notify_one();
            return;
        }
    }
    queue_full_.add();
    request.done(fail(ErrorKind::kOverloaded,
                      fmt::format("{} records already wait for the disk: try again later",
                                  engine_.options.append_queue_max)));
}

void Committer::run(const std::stop_token& stop) {
    while (true) {
        std::vector<Request> requests = take(stop);
        if (requests.empty() && stop.stop_requested()) return;
        if (!requests.empty()) commit(std::move(requests));
        const SteadyTime now = engine_.clock.steady();
        if (engine_.options.retain && !broken_ && now - retained_at_ >= kIdleWaitMax) {
            retained_at_ = now;
            retain();
        }
    }
}

std::vector<Request> Committer::take(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    waiting_.wait_for(lock, stop, kIdleWaitMax, [this] { return !queue_.empty(); });
    std::vector<Request> taken;
    std::size_t bytes = 0;
    while (!queue_.empty() && bytes < kBatchBytesMax) {
        bytes += queue_.front().bytes();
        queue_records_ -= queue_.front().records();
        taken.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    queue_bytes_ -= bytes;
    queue_records_gauge_.set(static_cast<double>(queue_records_));
    return taken;
}

void Committer::commit(std::vector<Request> requests) {
    std::vector<Status> answers(requests.size());
    {
        const std::scoped_lock applying(engine_.apply_mutex);
        Status written = engine_.room_for(0);
        if (!written) disk_full_.add();
        if (written && broken_) written = recover();
        Batch batch(engine_, to_ms(engine_.clock.wall()));
        std::vector<std::size_t> included;
        for (std::size_t i = 0; i < requests.size() && written; ++i) {
            const auto& step = requests[i].step;
            if (step) {
                const std::scoped_lock lock(engine_.mutex);
                if (!engine_.groups.owns(step->member, step->input, step->epoch)) {
                    answers[i] = fail(ErrorKind::kConflict,
                                      fmt::format("{} belongs to another member of group {}",
                                                  to_string(step->input), step->group));
                    continue;
                }
            }
            batch.add(requests[i]);
            included.push_back(i);
        }
        if (written && !included.empty()) written = write(batch);
        if (!written) {
            for (Status& answer : answers) {
                if (answer) answer = written;
            }
        }
    }
    engine_.changed.notify_all();
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i].done(std::move(answers[i]));
}

Status Committer::write(Batch& batch) {
    const SteadyTime start = engine_.clock.steady();
    rocksdb::WriteOptions options;
    options.sync = engine_.options.sync;
    const auto status = engine_.database->db().Write(options, &batch.finish());
    if (!status.ok()) {
        broken_ = true;
        writes_failed_.add();
        return fail(ErrorKind::kUnavailable,
                    fmt::format("write the embedded log: {}", status.ToString()));
    }
    write_seconds_.observe(std::chrono::duration<double>(engine_.clock.steady() - start).count());
    records_.add(batch.records());
    bytes_.add(batch.bytes());
    const std::scoped_lock lock(engine_.mutex);
    batch.publish();
    return {};
}

// After a failed write nobody knows what reached the disk. RocksDB flushes what it has in
// memory and starts a new log file; then its content is the truth again.
Status Committer::recover() {
    const auto resumed = engine_.database->db().Resume();
    if (!resumed.ok()) {
        // Nothing of what waits was written.
        return fail(ErrorKind::kOverloaded,
                    fmt::format("the embedded log waits for its disk: {}", resumed.ToString()));
    }
    const std::scoped_lock lock(engine_.mutex);
    for (const auto& [name, topic] : engine_.topics) VIGIE_TRY(engine_.load_segments(*topic));
    broken_ = false;
    return {};
}

void Committer::retain() {
    std::vector<TopicLog*> topics;
    {
        const std::scoped_lock lock(engine_.mutex);
        for (const auto& [name, topic] : engine_.topics) {
            if (!topic->options.compacted) topics.push_back(topic.get());
        }
    }
    const std::int64_t now_ms = to_ms(engine_.clock.wall());
    for (TopicLog* topic : topics) {
        for (std::int32_t index = 0; index < topic->partitions; ++index) {
            retain(*topic, index, now_ms);
        }
    }
}

// Moves the beginning first, so that readers go ahead, and removes then. A crash in between
// repeats the removal.
void Committer::retain(TopicLog& topic, std::int32_t index, std::int64_t now_ms) {
    const Partition partition{topic.name, index};
    std::vector<Segment> expired;
    Segment active;
    {
        const std::scoped_lock lock(engine_.mutex);
        auto& segments = topic.log(index).segments;
        std::uint64_t bytes = 0;
        for (const Segment& segment : segments) bytes += segment.bytes;
        const auto bytes_max = static_cast<std::uint64_t>(topic.options.retention_bytes);
        const std::int64_t age_max = milliseconds{topic.options.retention}.count();
        const auto is_expired = [&](const Segment& segment) {
            const bool old = age_max != 0 && now_ms - segment.last_ms > age_max;
            return !segment.empty() &&
                   (old || (bytes_max != 0 && bytes - segment.bytes >= bytes_max));
        };
        while (segments.size() > 1 && is_expired(segments.front())) {
            bytes -= segments.front().bytes;
            expired.push_back(segments.front());
            segments.pop_front();
        }
        if (segments.size() == 1 && age_max != 0 && !segments.front().empty() &&
            now_ms - segments.front().last_ms > age_max) {
            const Offset end = segments.front().end;
            expired.push_back(segments.front());
            segments.front() = Segment{end, end, 0, 0, 0};
        }
        active = segments.front();
    }
    if (expired.empty()) return;
    rocksdb::WriteBatch batch;
    for (const Segment& segment : expired) {
        batch.Delete(segment_key(partition, segment.base));
        expired_.add(static_cast<std::uint64_t>(segment.end - segment.base));
    }
    batch.Put(segment_key(partition, active.base), encode_segment(active));
    // Before the files: else a power cut could leave rows of segments whose chunks are gone.
    rocksdb::WriteOptions options;
    options.sync = engine_.options.sync;
    const auto status = engine_.database->db().Write(options, &batch);
    if (!status.ok()) {
        // The rows are what is true: they are read again before the next write.
        broken_ = true;
        writes_failed_.add();
        return;
    }
    // Gives whole files back at once, all but the newest few. No mark in the log says that the
    // chunks are gone: it would overlap all files and have them written again. Readers go by the
    // segments. The end is not included: it is the first chunk that stays.
    const std::string begin = chunk_key(index, 0);
    const std::string end = chunk_key(index, active.base);
    const rocksdb::Slice first(begin);
    const rocksdb::Slice last(end);
    rocksdb::DeleteFilesInRange(&engine_.database->db(), topic.family(index), &first, &last, false);
}

}  // namespace vigie::streams::rocks
