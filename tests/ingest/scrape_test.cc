#include "ingest/scrape.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "http/server.h"
#include "schemas/topics.h"
#include "tests/ingest/fixture.h"

using namespace vigie;
using namespace vigie::ingest;
namespace topics = schemas::topics;
using namespace std::chrono_literals;

namespace {

// A program that shows metrics, and a scraper that is moved by hand.
struct Scraped {
    explicit Scraped(ScrapeJob job_in = {}, bool with_target = true) : job(std::move(job_in)) {
        clock.set("2026-11-21T05:39:30Z");
        const std::vector<streams::TopicOptions> all{{.name = std::string(topics::kMetrics)}};
        REQUIRE(bus.ensure_topics(all).has_value());
        router.add("GET", "/metrics", [this](http::Request request, http::Respond respond) {
            const std::scoped_lock lock(mutex);
            asked.push_back(std::move(request));
            respond(answer);
        });
        auto started = http::Server::start({}, router, server_metrics, log);
        REQUIRE(started.has_value());
        server = *std::move(started);
        intake = std::make_shared<Intake>(Intake::Options{}, bus, clock, metrics, log);
        if (job.name.empty()) job.name = "shop";
        job.interval = 10s;
        address = "127.0.0.1:" + std::to_string(server->port());
        if (with_target) job.groups.push_back({{address}, {{"zone", "a"}}});
        show("");
    }

    void show(std::string text, std::string type = "text/plain; version=0.0.4", int status = 200) {
        const std::scoped_lock lock(mutex);
        answer = {status, {{"content-type", std::move(type)}}, std::move(text)};
    }

    // One round of all targets, and what it put on the log.
    std::vector<schemas::TimeSeries> round() {
        if (!scraper) {
            Scraper::Options options;
            options.jobs = {job};
            options.read_targets = [this](const std::string& name) {
                return name == broken ? fail(ErrorKind::kInvalid, "broken") : file;
            };
            scraper = std::make_unique<Scraper>(options, intake, clock, metrics, log);
        }
        const std::size_t before = bus.records(topics::kMetrics).size();
        clock.advance(10s);
        std::chrono::milliseconds wait{0};
        while (scraper->step(wait, {})) {
        }
        std::vector<schemas::TimeSeries> out;
        const auto records = bus.records(topics::kMetrics);
        for (std::size_t i = before; i < records.size(); ++i) {
            const auto& message = records[i].message;
            CHECK(message.key == "127.0.0.1");
            auto all = schemas::decode_metrics(
                message.value, header_of(message, topics::kHeaderContentType),
                header_of(message, topics::kHeaderContentEncoding), {});
            REQUIRE(all.has_value());
            for (auto& one : *all) out.push_back(std::move(one));
        }
        return out;
    }

    TestClock clock;
    MetricsRegistry metrics;
    MetricsRegistry server_metrics;
    MemoryLog log;
    streams::MemoryBus bus;
    http::Router router;
    std::mutex mutex;
    std::vector<http::Request> asked;
    http::Response answer;
    ScrapeJob job;
    std::string address;
    Result<std::vector<TargetGroup>> file = std::vector<TargetGroup>{};
    std::string broken;  // A file's name
    std::shared_ptr<Intake> intake;
    std::unique_ptr<Scraper> scraper;
    std::unique_ptr<http::Server> server;
};

const schemas::TimeSeries* find(const std::vector<schemas::TimeSeries>& all,
                                std::string_view metric) {
    for (const auto& one : all) {
        if (one.metric == metric) return &one;
    }
    return nullptr;
}

double value(const std::vector<schemas::TimeSeries>& all, std::string_view metric) {
    const auto* const one = find(all, metric);
    INFO(metric);
    REQUIRE(one != nullptr);
    REQUIRE(one->points.size() == 1);
    CHECK_FALSE(one->points[0].stale);
    return one->points[0].value;
}

bool stale(const std::vector<schemas::TimeSeries>& all, std::string_view metric) {
    const auto* const one = find(all, metric);
    return one != nullptr && one->points.size() == 1 && one->points[0].stale;
}

}  // namespace

TEST_CASE("scrape: what a target shows is on the log with its labels", "[ingest]") {
    Scraped site;
    site.job.params = {{"module", "a b"}};
    site.show("# TYPE hits_total counter\nhits_total{job=\"own\",path=\"/\"} 7\nload 0.5\n");
    const auto all = site.round();
    CHECK(all.size() == 5);
    const auto* const hits = find(all, "hits_total");
    REQUIRE(hits != nullptr);
    CHECK(hits->labels == schemas::Labels{{"exported_job", "own"},
                                          {"instance", site.address},
                                          {"job", "shop"},
                                          {"path", "/"},
                                          {"zone", "a"}});
    CHECK(hits->kind == schemas::MetricKind::kCounter);
    CHECK(hits->points.at(0).at == to_event_time(site.clock.wall()));
    CHECK(value(all, "up") == 1);
    CHECK(value(all, "scrape_samples_scraped") == 2);
    CHECK(value(all, "scrape_duration_seconds") == 0);
    REQUIRE(site.asked.size() == 1);
    CHECK(site.asked[0].header("accept").starts_with("application/openmetrics-text"));
    CHECK(site.asked[0].header("x-prometheus-scrape-timeout-seconds") == "10");
    CHECK(site.asked[0].query_value("module") == "a b");
    CHECK(site.metrics.expose().find("vigie_ingest_scrapes_total{job=\"shop\"} 1") !=
          std::string::npos);
}

TEST_CASE("scrape: with honor_labels the target's own labels stay", "[ingest]") {
    Scraped site;
    site.job.honor_labels = true;
    site.show("pushed{job=\"own\",instance=\"\"} 7\n");
    const auto all = site.round();
    const auto* const pushed = find(all, "pushed");
    REQUIRE(pushed != nullptr);
    CHECK(schemas::label(pushed->labels, "job") == "own");
    CHECK(schemas::label(find(all, "up")->labels, "job") == "shop");
}

TEST_CASE("scrape: labels that meet are renamed until they are free", "[ingest]") {
    const schemas::Labels target{{"exported_job", "x"}, {"job", "t"}};
    CHECK(join_labels({{"job", "own"}}, target, false) ==
          schemas::Labels{{"exported_exported_job", "own"}, {"exported_job", "x"}, {"job", "t"}});
    CHECK(join_labels({{"job", "own"}}, target, true) ==
          schemas::Labels{{"exported_job", "x"}, {"job", "own"}});
}

TEST_CASE("scrape: a series that is no longer shown ends", "[ingest]") {
    Scraped site;
    site.show("a 1\nb 1\n");
    CHECK(value(site.round(), "b") == 1);
    site.show("a 2\n");
    auto all = site.round();
    CHECK(value(all, "a") == 2);
    CHECK(stale(all, "b"));
    all = site.round();
    CHECK(value(all, "a") == 2);
    CHECK(find(all, "b") == nullptr);  // Once.
}

TEST_CASE("scrape: a target that does not answer is down and its series end", "[ingest]") {
    Scraped site;
    site.show("a 1\n");
    CHECK(value(site.round(), "a") == 1);
    site.show("nothing here", "text/plain", 503);
    auto all = site.round();
    CHECK(value(all, "up") == 0);
    CHECK(value(all, "scrape_samples_scraped") == 0);
    CHECK(stale(all, "a"));
    site.server->drain(0ms);
    all = site.round();
    CHECK(value(all, "up") == 0);
    CHECK(find(all, "a") == nullptr);
    CHECK(site.metrics.expose().find(
              "vigie_ingest_failed_scrapes_total{reason=\"unavailable\"} 2") != std::string::npos);
}

TEST_CASE("scrape: a page with a wrong line counts as down, and the log names the line",
          "[ingest]") {
    Scraped site;
    site.show("a 1\nb{ 1\n");
    const auto all = site.round();
    CHECK(value(all, "up") == 0);
    CHECK(find(all, "a") == nullptr);
    bool told = false;
    for (const auto& line : site.log.lines())
        told = told || line.find("line 2: ") != std::string::npos;
    CHECK(told);
}

TEST_CASE("scrape: OpenMetrics is read when the target speaks it; a page too large is not taken",
          "[ingest]") {
    Scraped site;
    site.job.body_bytes_max = 100;
    site.show("a 1 1.5\n# EOF\n", "application/openmetrics-text; version=1.0.0; charset=utf-8");
    const auto all = site.round();
    REQUIRE(find(all, "a") != nullptr);
    CHECK(find(all, "a")->points.at(0).at == event_time_from_micros(1'500'000));
    site.show("a 1\n" + std::string(200, '\n'));
    CHECK(value(site.round(), "up") == 0);
}

TEST_CASE("scrape: the same series twice on a page counts once", "[ingest]") {
    Scraped site;
    site.show("a 1\na 2\n");
    CHECK(value(site.round(), "a") == 1);
    CHECK(value(site.round(), "a") == 1);
    CHECK(site.metrics.expose().find("vigie_ingest_refused_items_total{source=\"scrape\"} 2") !=
          std::string::npos);
}

TEST_CASE("scrape: targets come and go with their files", "[ingest]") {
    ScrapeJob job;
    job.files = {"targets.json"};
    job.refresh = 10s;
    Scraped site(job, false);
    site.show("a 1\n");
    CHECK(site.round().empty());
    site.file = std::vector<TargetGroup>{{{site.address}, {}}};
    site.round();  // Found; its turn comes within an interval.
    auto all = site.round();
    CHECK(value(all, "a") == 1);
    // A file that is broken changes nothing.
    site.file = fail(ErrorKind::kInvalid, "broken");
    all = site.round();
    CHECK(value(all, "up") == 1);
    site.file = std::vector<TargetGroup>{};
    all = site.round();
    CHECK(stale(all, "a"));
    CHECK(stale(all, "up"));
    CHECK(stale(all, "scrape_duration_seconds"));
    CHECK(site.round().empty());
    CHECK(site.metrics.expose().find("vigie_ingest_scrape_targets 0") != std::string::npos);
}

TEST_CASE("scrape: a broken file hides no target of another one", "[ingest]") {
    ScrapeJob job;
    job.files = {"a.json", "b.json"};
    job.refresh = 10s;
    Scraped site(job, false);
    site.show("a 1\n");
    site.broken = "b.json";
    site.file = std::vector<TargetGroup>{{{site.address}, {}}};
    site.round();
    CHECK(value(site.round(), "a") == 1);
    CHECK(site.metrics.expose().find("reason=\"targets_file\"") != std::string::npos);
    // What it said before stays, and what the other says now is taken.
    site.broken = "a.json";
    site.file = std::vector<TargetGroup>{};
    CHECK(value(site.round(), "a") == 1);
    site.broken.clear();
    CHECK(stale(site.round(), "a"));
}

TEST_CASE("scrape: credentials are sent, and read again at each scrape", "[ingest]") {
    const auto path = std::filesystem::temp_directory_path() / "vigie-scrape-credentials";
    std::ofstream(path) << "first\n";
    ScrapeJob job;
    job.authorization_file = path.string();
    Scraped site(job);
    site.round();
    std::ofstream(path) << "second";
    site.round();
    REQUIRE(site.asked.size() == 2);
    CHECK(site.asked[0].header("authorization") == "Bearer first");
    CHECK(site.asked[1].header("authorization") == "Bearer second");
    std::filesystem::remove(path);
    CHECK(value(site.round(), "up") == 0);
}
