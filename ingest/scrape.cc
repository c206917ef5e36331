#include "ingest/scrape.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "core/redact.h"
#include "http/client.h"
#include "ingest/metrics.h"
#include "schemas/compression.h"
#include "schemas/topics.h"
#include "schemas/write_request.h"
#include "streams/runtime.h"

namespace vigie::ingest {

namespace {

using std::chrono::milliseconds;

constexpr std::string_view kSource = "scrape";
constexpr std::size_t kMessageBytes = 1024 * 1024;  // Before compression; a scrape may take several
constexpr milliseconds kIdle{1000};
constexpr std::string_view kAccept =
    "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

double seconds_between(SteadyTime from, SteadyTime to) {
    return std::chrono::duration<double>(to - from).count();
}

Result<std::string> read_credentials(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(ErrorKind::kUnavailable, fmt::format("cannot read '{}'", path));
    std::string text{std::istreambuf_iterator<char>(file), {}};
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    return text;
}

}  // namespace

struct Scraper::Target {
    // Constant after construction.
    const ScrapeJob* job = nullptr;
    std::string address;
    schemas::Labels labels;  // With job and instance
    std::string url;
    std::string timeout_seconds;

    // Protected by the scraper's mutex.
    SteadyTime due;
    bool busy = false;
    bool gone = false;

    // Of who has it while it is busy.
    bool failing = false;
    std::unordered_map<std::string, std::uint64_t> shown;  // Series, and by which scrape
    std::uint64_t scrapes = 0;
};

struct Scraper::Job {
    ScrapeJob config;
    std::map<std::string, std::shared_ptr<Target>> targets;  // By labels
    // What each file said when it could last be read. For the thread that reads.
    std::map<std::string, std::vector<TargetGroup>> files;
    SteadyTime refresh_due;
    bool reading = false;  // Some thread looks at its files.
};

namespace {

std::string url_of(const ScrapeJob& job, const std::string& address) {
    std::string url = fmt::format("{}://{}{}", job.scheme, address, job.metrics_path);
    char before = '?';
    for (const auto& [name, value] : job.params) {
        url +=
            fmt::format("{}{}={}", before, http::percent_encode(name), http::percent_encode(value));
        before = '&';
    }
    return url;
}

schemas::Labels labels_of(const ScrapeJob& job, const std::string& address,
                          const schemas::Labels& group) {
    schemas::Labels labels = group;
    const auto add = [&](std::string_view name, const std::string& value) {
        const bool has =
            std::ranges::any_of(labels, [&](const auto& p) { return p.first == name; });
        if (!has) labels.emplace_back(name, value);
    };
    add("job", job.name);
    add("instance", address);
    std::ranges::sort(labels);
    return labels;
}

}  // namespace

Scraper::Scraper(Options options, std::shared_ptr<Intake> intake, const Clock& clock,
                 MetricsRegistry& metrics, Log& log)
    : options_(std::move(options)),
      intake_(std::move(intake)),
      clock_(clock),
      metrics_(metrics),
      log_(log) {
    const SteadyTime now = clock_.steady();
    jobs_.reserve(options_.jobs.size());
    for (const ScrapeJob& job : options_.jobs) {
        jobs_.push_back(std::make_unique<Job>(Job{job, {}, {}, now, false}));
        set_targets(*jobs_.back(), job.groups, now);
    }
}

Scraper::~Scraper() = default;

// Targets that stay keep what is known of them. Under the mutex, or while nobody else is there.
void Scraper::set_targets(Job& job, const std::vector<TargetGroup>& groups, SteadyTime now) {
    std::set<std::string> wanted;
    for (const TargetGroup& group : groups) {
        for (const std::string& address : group.targets) {
            auto labels = labels_of(job.config, address, group.labels);
            const std::string key = schemas::to_string(address, labels);
            wanted.insert(key);
            if (const auto known = job.targets.find(key); known != job.targets.end()) {
                known->second->gone = false;
                continue;
            }
            if (targets_ >= options_.targets_max) {
                metrics_.counter(metrics::kScrapesFailed, {{"reason", "targets_max"}}).add();
                continue;
            }
            auto target = std::make_shared<Target>();
            target->job = &job.config;
            target->address = address;
            target->labels = std::move(labels);
            target->url = url_of(job.config, address);
            // Spread over the interval, and always at the same place of it.
            const auto spread = static_cast<std::int64_t>(
                fnv1a64(key) % static_cast<std::uint64_t>(job.config.interval.count()));
            target->due = now + milliseconds{spread};
            job.targets.emplace(key, std::move(target));
            ++targets_;
        }
    }
    for (auto it = job.targets.begin(); it != job.targets.end();) {
        if (wanted.contains(it->first)) {
            ++it;
            continue;
        }
        // Its series end with a last visit, which finds it gone.
        if (!it->second->gone) it->second->due = now;
        it->second->gone = true;
        ++it;
    }
    metrics_.gauge(metrics::kScrapeTargets).set(static_cast<double>(targets_));
}

void Scraper::refresh_files(Job& job, SteadyTime now) {
    std::map<std::string, std::vector<TargetGroup>> files;
    for (const std::string& pattern : job.config.files) {
        for (const std::string& file : files_of(pattern)) {
            auto read = options_.read_targets(file);
            if (read) {
                files[file] = *std::move(read);
                continue;
            }
            log_.warn("targets cannot be read, the old ones of this file stay",
                      {{"file", file}, {"reason", read.error().message}});
            metrics_.counter(metrics::kScrapesFailed, {{"reason", "targets_file"}}).add();
            files[file] = std::move(job.files[file]);
        }
    }
    job.files = std::move(files);
    std::vector<TargetGroup> groups = job.config.groups;
    for (const auto& [file, some] : job.files) {
        groups.insert(groups.end(), some.begin(), some.end());
    }
    const std::scoped_lock lock(mutex_);
    set_targets(job, groups, now);
    job.refresh_due = now + job.config.refresh;
    job.reading = false;
}

std::shared_ptr<Scraper::Target> Scraper::take_due(milliseconds& wait) {
    const SteadyTime now = clock_.steady();
    const std::scoped_lock lock(mutex_);
    std::shared_ptr<Target> next;
    SteadyTime earliest = now + kIdle;
    for (const auto& job : jobs_) {
        for (const auto& [key, target] : job->targets) {
            if (target->busy || target->due >= earliest) continue;
            earliest = target->due;
            next = target;
        }
    }
    wait = std::max(std::chrono::duration_cast<milliseconds>(earliest - now), milliseconds{1});
    if (!next || next->due > now) return nullptr;
    if (now - next->due > next->job->interval) {
        metrics_.counter(metrics::kScrapesFailed, {{"reason", "late"}}).add();
    }
    next->busy = true;
    // At its place again, also when some were missed.
    while (next->due <= now) next->due += next->job->interval;
    return next;
}

bool Scraper::step(milliseconds& wait, const std::stop_token& stop) {
    const SteadyTime now = clock_.steady();
    for (const auto& job : jobs_) {
        if (job->config.files.empty()) continue;
        {
            const std::scoped_lock lock(mutex_);
            if (job->reading || job->refresh_due > now) continue;
            job->reading = true;
        }
        refresh_files(*job, now);
    }
    const auto target = take_due(wait);
    if (!target) return false;
    const bool ended = scrape(*target, stop);
    const std::scoped_lock lock(mutex_);
    target->busy = false;
    // What went, or came back, while it was asked has its turn later.
    if (!ended || !target->gone) return true;
    for (const auto& job : jobs_) {
        targets_ -=
            std::erase_if(job->targets, [&](const auto& each) { return each.second == target; });
    }
    metrics_.gauge(metrics::kScrapeTargets).set(static_cast<double>(targets_));
    return true;
}

void Scraper::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        milliseconds wait{0};
        if (!step(wait, stop)) streams::wait_for(wait, stop);
    }
}

Status Scraper::fetch(const Target& target, const std::stop_token& stop, ScrapedPage& page) const {
    const ScrapeJob& job = *target.job;
    http::ClientRequest request;
    request.url = target.url;
    request.headers = {{"Accept", std::string(kAccept)},
                       {"Accept-Encoding", "gzip"},
                       {"User-Agent", "vigie"},
                       {"X-Prometheus-Scrape-Timeout-Seconds",
                        fmt::format("{}", static_cast<double>(job.timeout.count()) / 1000)}};
    std::string authorization = job.authorization;
    if (!job.authorization_file.empty()) {
        VIGIE_TRY_ASSIGN(const auto credentials, read_credentials(job.authorization_file));
        authorization = fmt::format("{} {}", job.authorization_type, credentials);
    }
    if (!authorization.empty()) request.headers.emplace_back("Authorization", authorization);
    http::ClientOptions client;
    client.connect_timeout = job.timeout;
    client.total_timeout = job.timeout;
    client.body_bytes_max = job.body_bytes_max;
    client.ca_file = job.ca_file;
    auto answer = http::send(request, client, stop);
    if (!answer) return fail(answer.error().error);
    if (answer->status != 200) {
        return fail(ErrorKind::kUnavailable, fmt::format("it answers {}", answer->status));
    }
    VIGIE_TRY_ASSIGN(
        const auto text,
        schemas::decompress(answer->body, answer->header("content-encoding"), job.body_bytes_max));
    return schemas::parse_exposition(text, schemas::exposition_of(answer->header("content-type")),
                                     job.limits, page);
}

// What goes onto the log of one visit: messages of at most about kMessageBytes.
class Scraper::Outgoing {
public:
    Outgoing(std::string key, EventTime at) : key_(std::move(key)), at_(at) {}

    schemas::WriteRequest& request() {
        if (request_.bytes() >= kMessageBytes) cut();
        return request_;
    }
    void add(std::string_view series, double value, EventTime at) {
        request().add(series, value, at);
        ++items_;
    }
    void add_stale(std::string_view series, EventTime at) {
        request().add_stale(series, at);
        ++items_;
    }
    std::vector<streams::Message> take() {
        cut();
        return std::move(messages_);
    }
    std::size_t items() const { return items_; }

private:
    void cut() {
        if (request_.samples() == 0) return;
        streams::Message message;
        message.topic = schemas::topics::kMetrics;
        message.key = key_;
        message.event_time = at_;
        message.headers = {{std::string(schemas::topics::kHeaderContentType),
                            std::string(schemas::kContentRemoteWrite)},
                           {std::string(schemas::topics::kHeaderContentEncoding), "snappy"}};
        message.value = request_.take();
        messages_.push_back(std::move(message));
    }

    const std::string key_;
    const EventTime at_;
    schemas::WriteRequest request_;
    std::vector<streams::Message> messages_;
    std::size_t items_ = 0;
};

// What was shown, and the end of what no longer is.
std::size_t Scraper::collect(Target& target, const ScrapedPage& page, EventTime at, Outgoing& out) {
    std::size_t repeated = 0;
    for (const auto& family : page.families()) out.request().add_family(family.name, family.type);
    for (const auto& sample : page.samples()) {
        // Series with times of their own end when their program says so.
        if (!sample.own_time) {
            auto [seen, fresh] = target.shown.try_emplace(sample.series, target.scrapes);
            if (!fresh && seen->second == target.scrapes) {
                ++repeated;
                continue;
            }
            seen->second = target.scrapes;
        }
        out.add(sample.series, sample.value, sample.at);
    }
    for (const auto& [series, last] : target.shown) {
        if (last != target.scrapes) out.add_stale(series, at);
    }
    return repeated;
}

void Scraper::tell(Target& target, const Status& done) {
    metrics_.counter(metrics::kScrapes, {{"job", target.job->name}}).add();
    if (!done) {
        const auto kind = std::string(to_string(done.error().kind));
        metrics_.counter(metrics::kScrapesFailed, {{"reason", kind}}).add();
    }
    if (!done && !target.failing) {
        log_.warn("scrape failed", {{"job", target.job->name},
                                    {"instance", target.address},
                                    {"reason", done.error().message}});
    } else if (done && target.failing) {
        log_.info("scrape works again", {{"job", target.job->name}, {"instance", target.address}});
    }
    target.failing = !done;
}

// True when the target was gone, and its series have ended.
bool Scraper::scrape(Target& target, const std::stop_token& stop) {
    const EventTime at = to_event_time(clock_.wall());
    const SteadyTime started = clock_.steady();
    bool gone = false;
    {
        const std::scoped_lock lock(mutex_);
        gone = target.gone;
    }
    const ScrapeJob& job = *target.job;
    ScrapedPage page(target.labels, job.honor_labels, job.honor_timestamps, at);
    Status done;
    if (!gone) {
        done = fetch(target, stop, page);
        if (stop.stop_requested()) return false;  // Not its fault.
        tell(target, done);
    }
    const double took = seconds_between(started, clock_.steady());
    ++target.scrapes;
    const bool kept = done && !gone;
    const ScrapedPage nothing(target.labels, job.honor_labels, job.honor_timestamps, at);
    Outgoing out(peer_address(target.address), at);
    const std::size_t repeated = collect(target, kept ? page : nothing, at, out);
    const auto add_own = [&](std::string_view metric, double value) {
        const auto series = schemas::encode_series(metric, target.labels);
        if (gone) {
            out.add_stale(series, at);
        } else {
            out.add(series, value, at);
        }
    };
    add_own("up", kept ? 1 : 0);
    add_own("scrape_duration_seconds", took);
    add_own("scrape_samples_scraped", kept ? static_cast<double>(page.samples().size()) : 0);
    if (repeated > 0) intake_->count(metrics::kRefusedItems, kSource, repeated);
    const std::size_t items = out.items();
    if (const auto appended = intake_->append_and_wait(kSource, out.take(), items); !appended) {
        // The next scrape brings newer values, and says again what ended.
        metrics_.counter(metrics::kScrapesFailed, {{"reason", "append"}}).add();
        log_.warn("a scrape was lost: append failed",
                  {{"instance", target.address}, {"error", appended.error().message}});
        return false;
    }
    std::erase_if(target.shown, [&](const auto& each) { return each.second != target.scrapes; });
    return gone;
}

}  // namespace vigie::ingest
