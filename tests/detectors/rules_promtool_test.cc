#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "detectors/rules/rules.h"
#include "support.h"
#include "tests/support/promtool.h"
#include "tests/support/temp_folder.h"

// The same rules and the same series, ours and Prometheus'.
namespace {

using namespace vigie;
using namespace vigie::detectors;
using namespace vigie::detectors::test;
using schemas::Labels;

constexpr int kMinutes = 90;
constexpr int kFirst = 35;  // The longest range is full.
constexpr std::size_t kInstances = 8;

struct Compared {
    const char* name;
    const char* expression;
    int hold_minutes = 0;
    int keep_minutes = 0;
};

const std::vector<Compared>& compared_rules() {
    static const std::vector<Compared> all{
        {"Threshold", "load > 60"},
        {"Held", "load > 50", 3},
        {"Kept", "load > 60", 0, 4},
        {"Both", "load > 45", 2, 3},
        {"Ratio",
         "sum by (job) (rate(requests_total{code=\"500\"}[5m30s])) / "
         "sum by (job) (rate(requests_total[5m30s])) > 0.5"},
        {"Rate", "rate(requests_total[3m30s]) > 1.1", 1},
        {"Change", "abs(delta(load[4m30s])) > 20"},
        {"And", "load > 50 and on (instance, job) rate(requests_total[3m30s]) > 0.9"},
        {"Or", "avg by (job) (load) > 55 or max by (job) (load) > 75", 1},
        {"Unless", "load > 50 unless on (job) avg by (job) (load) > 52"},
        {"Some", "count by (job) (load > 55) >= 2", 1},
        {"Average", "avg_over_time(load[6m30s]) < 45", 2},
        {"Trend", "deriv(load[8m30s]) * 60 > 2"},
        {"Burn",
         "(sum by (job) (increase(requests_total{code=\"500\"}[30m30s])) / sum by (job) "
         "(increase(requests_total[30m30s])) > 0.3 * 1.4 and sum by (job) "
         "(increase(requests_total{code=\"500\"}[5m30s])) / sum by (job) "
         "(increase(requests_total[5m30s])) > 0.3 * 1.4)"}};
    return all;
}

Rule rule_of(const Compared& compared) {
    Rule rule;
    rule.name = compared.name;
    rule.expression = compared.expression;
    rule.hold = std::chrono::minutes(compared.hold_minutes);
    rule.keep_firing = std::chrono::minutes(compared.keep_minutes);
    return rule;
}

std::string rules_yaml() {
    std::string yaml = "groups:\n  - name: all\n    interval: 1m\n    rules:\n";
    for (const auto& each : compared_rules()) {
        yaml += fmt::format(
            "      - alert: {}\n        expr: '{}'\n        for: {}m\n        keep_firing_for: "
            "{}m\n",
            each.name, each.expression, each.hold_minutes, each.keep_minutes);
    }
    return yaml;
}

Labels labels_of(std::size_t instance) {
    return {{"code", instance % 2 == 0 ? "200" : "500"},
            {"instance", fmt::format("i{}", instance)},
            {"job", instance < 5 ? "a" : "b"}};
}

// What our rules say of one made-up hour and a half, as a test that promtool can check.
class Hour {
public:
    explicit Hour(std::uint64_t seed) : rng_(seed) {
        RuleOptions options;
        for (const auto& each : compared_rules()) options.rules.push_back(rule_of(each));
        options.evaluate_every = 60s;
        detector_ = *make_rule_detector(options);
        for (int minute = 0; minute < kMinutes; ++minute) {
            feed(minute);
            if (minute >= kFirst) expect(minute);
        }
    }

    std::string yaml() const {
        std::string yaml =
            "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n"
            "    input_series:\n";
        for (std::size_t i = 0; i < kInstances; ++i) {
            yaml += fmt::format("      - series: '{}'\n        values: '{}'\n",
                                schemas::to_string("load", labels_of(i)), loads_[i]);
            yaml += fmt::format("      - series: '{}'\n        values: '{}'\n",
                                schemas::to_string("requests_total", labels_of(i)), counts_[i]);
        }
        return yaml + "    alert_rule_test:\n" + checks_;
    }
    std::size_t compared() const { return compared_; }
    std::size_t expected_alerts() const { return expected_alerts_; }

private:
    void feed(int minute) {
        const EventTime now = at(minute * 60.0);
        std::vector<schemas::TimeSeries> batch;
        for (std::size_t i = 0; i < kInstances; ++i) {
            level_[i] = std::round(0.8 * level_[i] + 10 + 8 * normal(rng_));
            count_[i] += static_cast<double>(rng_.below(minute / 20 % 2 == 0 ? 120 : 60));
            if (rng_.chance(15)) count_[i] = 0;
            batch.push_back(series("load", labels_of(i), now, level_[i]));
            batch.push_back(series("requests_total", labels_of(i), now, count_[i]));
            loads_[i] += fmt::format("{} ", level_[i]);
            counts_[i] += fmt::format("{} ", count_[i]);
        }
        Findings out;
        detector_->observe(batch, out);
        detector_->advance(now, out);
        for (const auto& anomaly : out.anomalies) {
            std::pair of{anomaly.detector.substr(5), anomaly.key.substr(anomaly.key.find('|') + 1)};
            if (anomaly.firing) {
                firing_.insert(std::move(of));
            } else {
                firing_.erase(of);
            }
        }
    }

    void expect(int minute) {
        for (const auto& rule : compared_rules()) {
            checks_ +=
                fmt::format("      - eval_time: {}m\n        alertname: {}\n        exp_alerts:\n",
                            minute, rule.name);
            ++compared_;
            for (const auto& [name, group] : firing_) {
                if (name != rule.name) continue;
                std::string labels = group;
                for (std::size_t to = 0; (to = labels.find("=\"", to)) != std::string::npos;) {
                    labels.replace(to, 1, ": ");
                }
                checks_ += fmt::format("          - exp_labels: {}\n", labels);
                ++expected_alerts_;
            }
        }
    }

    Rng rng_;
    std::unique_ptr<Detector> detector_;
    std::vector<double> level_ = std::vector<double>(kInstances, 50);
    std::vector<double> count_ = std::vector<double>(kInstances, 0);
    std::vector<std::string> loads_ = std::vector<std::string>(kInstances);
    std::vector<std::string> counts_ = std::vector<std::string>(kInstances);
    std::set<std::pair<std::string, std::string>> firing_;  // Rule and labels.
    std::string checks_;
    std::size_t compared_ = 0;
    std::size_t expected_alerts_ = 0;
};

}  // namespace

TEST_CASE("rules: fire when Prometheus' rules fire, on the same series", "[detectors]") {
    if (!vigie::test::has_promtool()) {
        WARN("no promtool: nothing was compared");
        return;
    }
    const TempFolder folder;
    vigie::test::write_text(folder.path() + "/rules.yml", rules_yaml());
    CHECK(vigie::test::run_promtool(folder.path(), "check rules rules.yml").code == 0);
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        const Hour hour(seed);
        CHECK(hour.compared() == (kMinutes - kFirst) * compared_rules().size());
        CHECK(hour.expected_alerts() > 1000);
        std::string yaml = hour.yaml();
        vigie::test::write_text(folder.path() + "/test.yml", yaml);
        const auto answer = vigie::test::run_promtool(folder.path(), "test rules test.yml");
        INFO("seed " << seed << "\n" << answer.output.substr(0, 4000));
        CHECK(answer.code == 0);
        // The comparison can fail: one alert less is noticed.
        yaml.erase(yaml.rfind("          - exp_labels"));
        vigie::test::write_text(folder.path() + "/test.yml", yaml + "\n");
        CHECK(vigie::test::run_promtool(folder.path(), "test rules test.yml").code != 0);
    }
}
