#include "app/scrape_config.h"

#include <catch2/catch.hpp>

#include "app/config.h"
#include "tests/support/temp_folder.h"

using vigie::app::parse_config;
using vigie::app::read_target_file;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> complaints(const std::string& text) {
    const auto config = parse_config(text, "v.yaml", {});
    return config ? std::vector<std::string>{} : config.error().lines;
}

}  // namespace

TEST_CASE("scrape config: a section as Prometheus has it is taken", "[app]") {
    const auto config = parse_config(R"(
scrape_configs:
  - job_name: node
    scrape_interval: 15s
    scrape_timeout: 5s
    metrics_path: /probe
    scheme: https
    params: {module: [http_2xx, b], target: x}
    honor_labels: true
    honor_timestamps: false
    basic_auth: {username: u, password: p}
    tls_config: {ca_file: /etc/ca.pem}
    sample_limit: 10
    label_limit: 5
    body_size_limit: 1MiB
    static_configs:
      - targets: ['web-1:9100', '[::1]:9100']
        labels: {zone: a}
  - job_name: apps
    scrape_interval: 1s
    authorization: {credentials: secret}
    file_sd_configs: [{files: [/nowhere/*.json], refresh_interval: 30s}]
scrape: {threads: 2, targets_max: 7}
)",
                                     "v.yaml", {});
    REQUIRE(config);
    REQUIRE(config->scrape.jobs.size() == 2);
    const auto& node = config->scrape.jobs[0];
    CHECK(node.interval == 15s);
    CHECK(node.timeout == 5s);
    CHECK(node.params.size() == 3);
    CHECK(node.honor_labels);
    CHECK_FALSE(node.honor_timestamps);
    CHECK(node.authorization == "Basic dTpw");
    CHECK(node.ca_file == "/etc/ca.pem");
    CHECK(node.limits.samples_max == 10);
    CHECK(node.limits.labels_max == 5);
    CHECK(node.body_bytes_max == 1024 * 1024);
    CHECK(node.groups.at(0).targets.size() == 2);
    const auto& apps = config->scrape.jobs[1];
    CHECK(apps.timeout == 1s);  // Not longer than the interval.
    CHECK(apps.authorization == "Bearer secret");
    CHECK(apps.files == std::vector<std::string>{"/nowhere/*.json"});
    CHECK(apps.refresh == 30s);
    CHECK(config->scrape.threads == 2);
    CHECK(config->scrape.targets_max == 7);
}

TEST_CASE("scrape config: what is wrong is named with its place", "[app]") {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"scrape_configs: [{job_name: a}]",
         "v.yaml:1:18: scrape_configs[0]: needs static_configs or file_sd_configs: whom to ask"},
        {"scrape_configs: [{static_configs: [{targets: [a]}]}]",
         "v.yaml:1:18: scrape_configs[0].job_name: is missing"},
        {"scrape_configs: [{job_name: a, scrape_timeout: 2m, static_configs: [{targets: [a]}]}]",
         "v.yaml:1:32: scrape_configs[0].scrape_timeout: must not be longer than scrape_interval"},
        {"scrape_configs: [{job_name: a, static_configs: [{targets: ['a/b']}]}]",
         "v.yaml:1:50: scrape_configs[0].static_configs[0].targets: 'a/b' is not HOST or "
         "HOST:PORT"},
        {"scrape_configs: [{job_name: a, static_configs: [{targets: [a], labels: {__x: y}}]}]",
         "v.yaml:1:64: scrape_configs[0].static_configs[0].labels: '__x' cannot name a label "
         "here"},
        {"scrape_configs: [{job_name: a, scheme: ftp, static_configs: [{targets: [a]}]}]",
         "v.yaml:1:32: scrape_configs[0].scheme: must be http or https"},
        {"scrape_configs: [{job_name: a, file_sd_configs: [{files: ['/*/x']}]}]",
         "v.yaml:1:51: scrape_configs[0].file_sd_configs[0].files: '/*/x': only the last part may "
         "have *"},
        {"scrape_configs: [{job_name: a, authorization: {type: X}, static_configs: [{targets: "
         "[a]}]}]",
         "v.yaml:1:32: scrape_configs[0].authorization: needs either credentials or "
         "credentials_file"},
    };
    for (const auto& [text, complaint] : cases) {
        INFO(text);
        CHECK(complaints(text) == std::vector{complaint});
    }
    const auto unknown = complaints(
        "scrape_configs: [{job_name: a, relabel_configs: [], static_configs: [{targets: [a]}]}]");
    REQUIRE(unknown.size() == 1);
    CHECK(unknown[0].starts_with("v.yaml:1:32: scrape_configs[0].relabel_configs: unknown option"));
}

TEST_CASE("scrape config: target files in YAML and JSON, and what is wrong in them", "[app]") {
    const vigie::TempFolder folder;
    const auto file = [&](const std::string& name, const std::string& text) {
        const auto path = folder.path() + "/" + name;
        REQUIRE(vigie::app::write_file(path, text));
        return path;
    };
    const auto json =
        read_target_file(file("a.json", R"([{"targets": ["a:1", "b:2"], "labels": {"x": "y"}}])"));
    REQUIRE(json);
    REQUIRE(json->size() == 1);
    CHECK(json->at(0).targets == std::vector<std::string>{"a:1", "b:2"});
    CHECK(json->at(0).labels == vigie::schemas::Labels{{"x", "y"}});
    CHECK(read_target_file(file("b.yaml", "- targets: [a]\n"))->size() == 1);
    CHECK(read_target_file(file("c.yaml", ""))->empty());
    const auto wrong = read_target_file(file("d.yaml", "- targets: [a]\n  label: {}\n"));
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().message.find("d.yaml:2:3: [0].label: unknown option") != std::string::npos);
    CHECK_FALSE(read_target_file(file("e.yaml", "targets: [a]\n")));
    CHECK(read_target_file(folder.path() + "/none").error().kind == vigie::ErrorKind::kNotFound);
    CHECK(vigie::ingest::files_of(folder.path() + "/*.yaml").size() == 4);
}

TEST_CASE("scrape config: a broken file of targets is a warning, not a mistake", "[app]") {
    const vigie::TempFolder folder;
    REQUIRE(vigie::app::write_file(folder.path() + "/good.yaml", "- targets: [a]\n"));
    REQUIRE(vigie::app::write_file(folder.path() + "/bad.yaml", "- targets: [a\n"));
    const auto config = parse_config("scrape_configs: [{job_name: a, file_sd_configs: [{files: ['" +
                                         folder.path() + "/*.yaml', /nowhere.json]}]}]",
                                     "v.yaml", {});
    REQUIRE(config);
    const auto warnings = vigie::app::warnings_of(config->scrape);
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].starts_with("job 'a' goes without these targets: " + folder.path() +
                                  "/bad.yaml: "));
}
