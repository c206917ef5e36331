// What the embedded log, a worker and bulk state can do on this machine: see tools/bench.py.
// Ratios compare two things within one run, by the CPU time of this process unless it says
// otherwise; each is the median of kRounds.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/log.h"
#include "core/metrics.h"
#include "core/rng.h"
#include "core/system_clock.h"
#include "streams/bulk_files.h"
#include "streams/rocks/rocks_bus.h"
#include "streams/runtime.h"
#include "streams/worker.h"
#include "tests/bench/measure.h"
#include "tests/bench/nats.h"

namespace {

using namespace vigie;
using namespace vigie::streams;
using namespace vigie::bench;

constexpr int kRounds = 5;
std::string g_folder;

struct Embedded {
    explicit Embedded(const std::string& name) {
        rocks::RocksBus::Options options;
        options.path = g_folder + "/" + name;
        auto opened = rocks::RocksBus::open(options, g_clock, metrics);
        VIGIE_ASSERT(opened.has_value());
        bus = *std::move(opened);
        const std::vector<TopicOptions> topics{{.name = "in", .retention_bytes = 0},
                                               {.name = "out", .retention_bytes = 0},
                                               {.name = "vigie.deadletter"}};
        VIGIE_ASSERT(bus->ensure_topics(topics).has_value());
    }
    MetricsRegistry metrics;
    std::unique_ptr<rocks::RocksBus> bus;
};

// Compresses as JSON does, to a third or so; with `seed` it does not compress.
std::string value_of(int number, std::size_t bytes, Rng* seed = nullptr) {
    std::string value;
    if (seed == nullptr) {
        value = fmt::format("{{\"n\":{},\"id\":\"{:x}\"", number,
                            static_cast<std::uint32_t>(number) * 2654435761U);
        while (value.size() < bytes)
            value += fmt::format(",\"f\":{}", value.size() * 7 + static_cast<std::size_t>(number));
        value.resize(bytes);
        return value;
    }
    value.resize(bytes);
    for (char& c : value) c = static_cast<char>(seed->below(256));
    return value;
}

std::vector<Message> batch_of(int first, int count, std::size_t bytes, Rng* seed = nullptr) {
    std::vector<Message> messages;
    for (int i = first; i < first + count; ++i) {
        messages.push_back({"in",
                            std::to_string(i % 1000),
                            value_of(i, bytes, seed),
                            {},
                            EventTime{std::chrono::milliseconds{i}}});
    }
    return messages;
}

// --- appends -------------------------------------------------------------------------------------

void append_each_synced(Bus& bus, std::vector<std::vector<Message>> batches) {
    for (auto& batch : batches) VIGIE_ASSERT(append_and_wait(bus, std::move(batch)).has_value());
}

// The least that a durable append can cost: the same bytes over a file that is already there.
class RecycledFile {
public:
    explicit RecycledFile(const std::string& path, std::size_t bytes)
        : descriptor_(open(path.c_str(), O_CREAT | O_RDWR, 0600)), bytes_(bytes) {
        const std::string zeros(1 << 20U, '\0');
        for (std::size_t at = 0; at < bytes_; at += zeros.size())
            VIGIE_ASSERT(pwrite(descriptor_, zeros.data(), zeros.size(), static_cast<off_t>(at)) ==
                         static_cast<ssize_t>(zeros.size()));
        VIGIE_ASSERT(fsync(descriptor_) == 0);
    }
    ~RecycledFile() { close(descriptor_); }
    RecycledFile(const RecycledFile&) = delete;
    RecycledFile& operator=(const RecycledFile&) = delete;

    void append(std::string_view bytes) {
        if (at_ + bytes.size() > bytes_) at_ = 0;
        VIGIE_ASSERT(pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(at_)) ==
                     static_cast<ssize_t>(bytes.size()));
        at_ += bytes.size();
        VIGIE_ASSERT(fdatasync(descriptor_) == 0);
    }

private:
    const int descriptor_;
    const std::size_t bytes_;
    std::size_t at_ = 0;
};

// A batch of 100 records of 200 B, and a file that takes the same bytes.
struct Compared {
    explicit Compared(const std::string& name)
        : embedded(name), file(g_folder + "/file-" + name, std::size_t{64} << 20U) {
        for (const Message& message : batch) bytes += message.value;
    }
    void append_to_file() { file.append(bytes); }

    Embedded embedded;
    RecycledFile file;
    const std::vector<Message> batch = batch_of(0, 100, 200);
    std::string bytes;
};

void measure_durable_append() {
    constexpr int kBatches = 1000;
    Compared compared("append");
    std::vector<double> ratios;
    std::vector<double> rates;
    for (int round = 0; round < kRounds; ++round) {
        const Cost bare = cost_of([&] {
            for (int i = 0; i < kBatches; ++i) compared.append_to_file();
        });
        std::vector<std::vector<Message>> batches(kBatches, compared.batch);
        const Cost ours =
            cost_of([&] { append_each_synced(*compared.embedded.bus, std::move(batches)); });
        ratios.push_back(100 * bare.cpu / ours.cpu);
        rates.push_back(100.0 * kBatches / ours.wall);
    }
    say("durable_append_of_bare_file", median(ratios), "%", ">= 25");
    say("durable_append_rate_alone", median(rates), "records/s", "");
}

double amplification(const std::string& name, Rng* seed) {
    constexpr int kBatches = 1000;
    constexpr std::size_t kBytes = 1024;
    Embedded embedded(name);
    const double before = bytes_written();
    double payload = 0;
    for (int i = 0; i < kBatches; ++i) {
        const auto batch = batch_of(i * 250, 250, kBytes, seed);
        for (const Message& message : batch) payload += static_cast<double>(bytes_of(message));
        VIGIE_ASSERT(append_and_wait(*embedded.bus, batch).has_value());
    }
    embedded.bus.reset();
    sync();
    return (bytes_written() - before) / payload;
}

void measure_amplification() {
    Rng rng(1);
    say("write_amplification_compressible", amplification("amplify-text", nullptr), "times",
        "<= 1.5");
    say("write_amplification_incompressible", amplification("amplify-noise", &rng), "times",
        "<= 2.1");
}

constexpr std::chrono::microseconds kInterval{500};  // 200,000 records/s.

void wait_until(SteadyTime due) {
    while (g_clock.steady() < due) sleep_for(std::chrono::milliseconds{1});
}

// How long each of `count` synced writes took, at the same rate.
std::vector<double> bare_syncs(Compared& compared, int count) {
    std::vector<double> waits;
    const SteadyTime start = g_clock.steady();
    for (int i = 0; i < count; ++i) {
        wait_until(start + i * kInterval);
        waits.push_back(cost_of([&] { compared.append_to_file(); }).wall);
    }
    return waits;
}

// Appends of 100 records at a fixed rate, whether answered or not; how late each answer was.
std::vector<double> answers(Compared& compared, int count) {
    constexpr double kRefused = 10;  // Seconds: it came too late.
    std::vector<double> waits(static_cast<std::size_t>(count), -1.0);
    std::atomic<int> answered{0};
    const SteadyTime start = g_clock.steady();
    for (int i = 0; i < count; ++i) {
        wait_until(start + i * kInterval);
        const SteadyTime sent = g_clock.steady();
        compared.embedded.bus->append(compared.batch, [&waits, &answered, i, sent](Status status) {
            waits[static_cast<std::size_t>(i)] =
                status ? std::chrono::duration<double>(g_clock.steady() - sent).count() : kRefused;
            answered += 1;
        });
    }
    while (answered < count) sleep_for(std::chrono::milliseconds{1});
    return waits;
}

// The disk of a virtual machine has good and bad minutes: each round compares with its own.
void measure_acknowledgement() {
    constexpr int kBatches = 6000;
    Compared compared("acknowledge");
    std::vector<double> medians;
    std::vector<double> p99s;
    std::vector<double> bare;
    std::vector<double> ratios;
    for (int round = 0; round < kRounds; ++round) {
        std::vector<double> syncs = bare_syncs(compared, kBatches / 2);
        std::vector<double> waits = answers(compared, kBatches);
        medians.push_back(1000 * at_percent(waits, 50));
        p99s.push_back(1000 * at_percent(waits, 99));
        bare.push_back(1000 * at_percent(syncs, 99));
        ratios.push_back(p99s.back() / bare.back());
        // What the log still writes and frees must not slow the next bare syncs.
        sleep_for(std::chrono::seconds{3});
    }
    say("acknowledge_p50_at_200k", median(medians), "ms", "");
    say("acknowledge_p99_at_200k", median(p99s), "ms", "");
    say("bare_sync_p99", median(bare), "ms", "");
    say("acknowledge_p99_of_bare_sync", median(ratios), "times", "<= 5");
}

// Records a second of 64 producers that each wait for their answer before the next record.
double produced_alone(Bus& bus, std::chrono::seconds time) {
    constexpr int kProducers = 64;
    const Message message = batch_of(0, 1, 200)[0];
    std::atomic<bool> over{false};
    std::atomic<int> running{kProducers};
    std::atomic<std::size_t> acknowledged{0};
    const std::function<void(Status)> next = [&](Status status) {
        VIGIE_ASSERT(status.has_value());
        ++acknowledged;
        if (over) {
            --running;
        } else {
            bus.append({message}, next);
        }
    };
    const SteadyTime start = g_clock.steady();
    for (int i = 0; i < kProducers; ++i) bus.append({message}, next);
    while (g_clock.steady() - start < time) sleep_for(std::chrono::milliseconds{10});
    over = true;
    while (running > 0) sleep_for(std::chrono::milliseconds{1});
    return static_cast<double>(acknowledged) /
           std::chrono::duration<double>(g_clock.steady() - start).count();
}

// The same by NATS JetStream, which answers before it has synced.
void measure_against_nats() {
    const char* program = std::getenv("NATS_SERVER");
    if (program == nullptr || access(program, X_OK) != 0) {
        fmt::print("no nats-server in NATS_SERVER: not compared\n");
        return;
    }
    constexpr std::chrono::seconds kTime{2};
    Embedded embedded("producers");
    const std::string port = std::to_string(20000 + getpid() % 20000);
    const std::string store = g_folder + "/nats";
    const pid_t server = fork();
    VIGIE_ASSERT(server >= 0);
    if (server == 0) {
        execl(program, program, "-js", "-sd", store.c_str(), "-a", "127.0.0.1", "-p", port.c_str(),
              "-l", (g_folder + "/nats.log").c_str(), nullptr);
        std::abort();
    }
    std::vector<double> ratios;
    std::vector<double> ours;
    for (int round = 0, failed = 0; round < kRounds && failed < 50;) {
        const auto theirs = nats_rate(std::stoi(port), 64, value_of(0, 200), kTime);
        if (!theirs) {  // Not up yet.
            ++failed;
            sleep_for(std::chrono::milliseconds{100});
            continue;
        }
        ours.push_back(produced_alone(*embedded.bus, kTime));
        ratios.push_back(ours.back() / *theirs);
        ++round;
    }
    kill(server, SIGTERM);
    waitpid(server, nullptr, 0);
    if (ratios.size() < kRounds) {
        fmt::print("nats-server did not answer: not compared\n");
        return;
    }
    say("durable_append_64_producers", median(ours), "records/s", "");
    say("durable_append_of_nats_unsynced", median(ratios), "times", ">= 4");
}

// --- reads and steps -----------------------------------------------------------------------------

constexpr PollLimits kManyNow{.records_max = 5000, .wait_max = std::chrono::milliseconds{0}};

// In place, as views and comparisons do.
std::size_t scan_all(const Bus& bus) {
    std::size_t bytes = 0;
    for (Offset next = 0, last = -1; next != last;) {
        last = next;
        const auto done = bus.scan({"in", 0}, next, kManyNow, [&](const RecordView& record) {
            bytes += record.bytes();
            next = record.offset + 1;
            return true;
        });
        VIGIE_ASSERT(done.has_value());
    }
    return bytes;
}

// As strings of their own, which steps get.
std::size_t read_all(const Bus& bus) {
    std::size_t bytes = 0;
    for (Offset next = 0;;) {
        const auto records = bus.read({"in", 0}, next, kManyNow);
        VIGIE_ASSERT(records.has_value());
        if (records->empty()) return bytes;
        next = records->back().offset + 1;
        for (const Record& record : *records) bytes += bytes_of(record.message);
    }
}

// Records of 1 KiB: noise is what senders have compressed already, as they do with telemetry.
void measure_read(const std::string& name, Rng* noise, std::string_view goal) {
    constexpr int kBytes = 1024;
    constexpr int kCount = 256 * 1024;
    Embedded embedded("read-" + name);
    for (int i = 0; i < kCount; i += kBytes) {
        VIGIE_ASSERT(append_and_wait(*embedded.bus, batch_of(i, 1024, kBytes, noise)).has_value());
    }
    const auto measure = [&](std::string_view how, auto all, std::string_view its_goal) {
        std::vector<double> rates;
        all(*embedded.bus);
        for (int round = 0; round < kRounds; ++round) {
            std::size_t bytes = 0;
            const Cost cost = cost_of([&] { bytes = all(*embedded.bus); });
            rates.push_back(static_cast<double>(bytes) / cost.cpu / 1e9);
        }
        say(fmt::format("{}_{}", how, name), median(rates), "GB/CPU s", its_goal);
    };
    measure("sequential_scan", scan_all, goal);
    measure("sequential_read", read_all, "");
}

// One keyed read and one keyed write for each record.
class Counting final : public Processor {
public:
    Status on_record(const Record& record, Context& context) override {
        VIGIE_TRY_ASSIGN(const auto before, context.get(record.message.key));
        context.put(record.message.key, std::to_string(before ? std::stoll(*before) + 1 : 1));
        return {};
    }
    Status on_timer(std::string_view, EventTime, Context&) override { return {}; }
};

void measure_steps() {
    constexpr int kRecords = 500'000;
    Embedded embedded("steps");
    const auto log = make_stderr_log(LogLevel::kError);
    for (int i = 0; i < kRecords; i += 1000) {
        VIGIE_ASSERT(append_and_wait(*embedded.bus, batch_of(i, 1000, 100)).has_value());
    }
    std::vector<double> rates;
    for (int round = 0; round < kRounds; ++round) {
        Worker::Options options;
        options.stage = "bench";
        options.subscription = {"bench" + std::to_string(round), {"in"}};
        options.make_processor = [](const Partition&) { return std::make_unique<Counting>(); };
        auto worker = Worker::open(*embedded.bus, options, embedded.metrics, *log, g_clock);
        VIGIE_ASSERT(worker.has_value());
        std::size_t count = 0;
        const Cost cost = cost_of([&] {
            while (true) {
                const auto done = (*worker)->step(
                    {.records_max = 5000, .wait_max = std::chrono::milliseconds{0}});
                VIGIE_ASSERT(done.has_value());
                if (*done == 0) break;
                count += *done;
            }
        });
        rates.push_back(static_cast<double>(count) / cost.cpu);
    }
    say("steps_with_keyed_read_and_write", median(rates), "records/CPU s", ">= 300000");
}

// --- bulk state, memory, start -------------------------------------------------------------------

class Ignore final : public AssignmentListener {
    Status on_assigned(std::span<const Partition>) override { return {}; }
    void on_revoked(std::span<const Partition>) override {}
};

// A million series of 48 bytes: as one flat snapshot, and as rows.
void measure_bulk() {
    constexpr std::size_t kEntries = 1'000'000;
    constexpr std::size_t kEntryBytes = 48;
    constexpr std::size_t kRowsPerStep = 10'000;
    Rng rng(2);
    std::string array(kEntries * kEntryBytes, '\0');
    for (char& c : array) c = static_cast<char>(rng.below(256));
    std::vector<double> ratios;
    std::vector<double> nanos;
    Ignore ignore;
    for (int round = 0; round < kRounds; ++round) {
        Embedded embedded("bulk" + std::to_string(round));
        auto consumer = *embedded.bus->subscribe({"bulk", {"in"}}, ignore);
        VIGIE_ASSERT(consumer->poll({.records_max = 1, .wait_max = {}}).has_value());
        const Cost flat = cost_of([&] {
            // As a detector does: entry by entry into the bytes, then the file.
            std::string bytes;
            bytes.reserve(array.size());
            for (std::size_t i = 0; i < kEntries; ++i)
                bytes.append(array, i * kEntryBytes, kEntryBytes);
            VIGIE_ASSERT(consumer->save_bulk({"in", 0}, bytes).has_value());
        });
        const Cost rows = cost_of([&] {
            for (std::size_t first = 0; first < kEntries; first += kRowsPerStep) {
                Step step{.input = {"in", 0}, .next = 0, .state = {}, .outputs = {}};
                for (std::size_t i = first; i < first + kRowsPerStep; ++i) {
                    step.state.emplace(fmt::format("{:016x}", i * 0x9e3779b97f4a7c15U),
                                       array.substr(i * kEntryBytes, kEntryBytes));
                }
                VIGIE_ASSERT(consumer->commit(std::move(step)).has_value());
            }
        });
        ratios.push_back(rows.cpu / flat.cpu);
        nanos.push_back(1e9 * flat.cpu / kEntries);
    }
    say("bulk_snapshot_against_rows", median(ratios), "times cheaper", ">= 25");
    say("bulk_snapshot_entry", median(nanos), "ns", "");
}

// The other process of measure_start().
[[noreturn]] void fill_and_die(const std::string& name, double bytes) {
    const Embedded embedded(name);
    // A pool of batches: making the text costs more than the log.
    std::vector<std::vector<Message>> batches;
    for (int i = 0; i < 16; ++i) batches.push_back(batch_of(i * 1000, 1000, 1024));
    for (double written = 0; written < bytes; written += 16 * 1000 * 1024) {
        std::atomic<int> left{static_cast<int>(batches.size())};
        for (const auto& batch : batches)
            embedded.bus->append(batch, [&left](Status) { left -= 1; });
        while (left > 0) sleep_for(std::chrono::milliseconds{1});
    }
    kill(getpid(), SIGKILL);
    std::abort();
}

// A process of its own writes 10 GB and is killed.
void measure_start() {
    constexpr double kBytes = 10e9;
    const std::string name = "large";
    const pid_t child = fork();
    VIGIE_ASSERT(child >= 0);
    if (child == 0) {
        execl("/proc/self/exe", "bench_streams", "fill", g_folder.c_str(), name.c_str(),
              std::to_string(kBytes).c_str(), nullptr);
        std::abort();
    }
    int ended = 0;
    waitpid(child, &ended, 0);
    VIGIE_ASSERT(WIFSIGNALED(ended));
    const Cost cost = cost_of([&] {
        const Embedded embedded(name);
        const auto range = embedded.bus->range({"in", 0});
        VIGIE_ASSERT(static_cast<double>(range->end) * 1024 >= kBytes);
        VIGIE_ASSERT(embedded.bus
                         ->read({"in", 0}, range->end - 1,
                                {.records_max = 1, .wait_max = std::chrono::milliseconds{0}})
                         ->size() == 1);
    });
    say("ready_after_kill_with_10_gb", cost.wall, "s", "<= 3");
    std::filesystem::remove_all(g_folder + "/" + name);
}

void measure_memory() {
    const Embedded embedded("idle");
    sleep_for(std::chrono::milliseconds{200});
    say("memory_idle", resident_megabytes(), "MB", "<= 60");
}

}  // namespace

// Without an argument all of it; `read`, `steps`, … for one part of it, to look at it closely.
int main(int count, char** arguments) {
    if (count == 4 + 1 && std::string_view(arguments[1]) == "fill") {
        g_folder = arguments[2];
        fill_and_die(arguments[3], std::stod(arguments[4]));
    }
    const std::string only = count == 2 ? arguments[1] : "";
    g_folder = (std::filesystem::temp_directory_path() / "vigie-bench-XXXXXX").string();
    VIGIE_ASSERT(mkdtemp(g_folder.data()) != nullptr);
    const std::vector<std::pair<std::string_view, std::function<void()>>> measures{
        {"memory", measure_memory},
        {"append", measure_durable_append},
        {"amplification", measure_amplification},
        {"acknowledge", measure_acknowledgement},
        {"nats", measure_against_nats},
        {"read",
         [] {
             Rng noise(3);
             measure_read("compressed_by_senders", &noise, ">= 2");
             measure_read("text", nullptr, ">= 2");
         }},
        {"steps", measure_steps},
        {"bulk", measure_bulk},
        {"start", measure_start}};
    for (const auto& [name, measure] : measures) {
        if (only.empty() || only == name) measure();
    }
    std::filesystem::remove_all(g_folder);
    return 0;
}
