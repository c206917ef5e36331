// Sends Prometheus remote write 1.0 for tests/bench/ingest.py: rounds of samples of all series, the
// same bytes to every server. Bodies are made before the first is sent; its own processor time
// counts for nobody.
//
// usage: write_sender PORT PATH CONNECTIONS SERIES SAMPLES_A_REQUEST ROUND_FROM ROUND_TO
// BEGIN_MILLIS Prints {"requests":…,"samples":…,"bytes":…,"busy":…,"failed":…,"seconds":…}.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/http_post.h"
#include "tests/bench/metric_load.h"

namespace {

using namespace vigie::bench;

struct Counts {
    std::atomic<long> requests{0};
    std::atomic<long> samples{0};
    std::atomic<long> bytes{0};
    std::atomic<long> busy{0};
    std::atomic<long> failed{0};
};

struct Post {
    std::string body;
    std::size_t samples = 0;
};

void send_all(std::uint16_t port, const std::string& path, const std::vector<Post>& posts,
              Counts& counts) {
    Connection connection(port);
    for (const Post& post : posts) {
        const std::string request = fmt::format(
            "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n"
            "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
            "Content-Length: {}\r\n\r\n",
            path, post.body.size());
        int status = connection.post(request, post.body);
        while (status == 503 || status == 429) {
            ++counts.busy;
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
            status = connection.post(request, post.body);
        }
        if (status / 100 != 2) {
            ++counts.failed;
            continue;
        }
        ++counts.requests;
        counts.samples += static_cast<long>(post.samples);
        counts.bytes += static_cast<long>(post.body.size());
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 9) return 2;
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    const std::string path = argv[2];
    const auto connections = static_cast<std::size_t>(std::atol(argv[3]));
    LoadOptions options;
    options.series = static_cast<std::size_t>(std::atol(argv[4]));
    options.samples_a_request = static_cast<std::size_t>(std::atol(argv[5]));
    const auto from = static_cast<std::size_t>(std::atol(argv[6]));
    const auto to = static_cast<std::size_t>(std::atol(argv[7]));
    options.begin_millis = std::atoll(argv[8]);
    const MetricLoad load(options);
    // A series stays on one connection, and so in order.
    std::vector<std::vector<Post>> posts(connections);
    for (std::size_t round = from; round < to; ++round) {
        for (const std::size_t request : load.order_of(round)) {
            posts[request % connections].push_back(
                {load.snappy_request(request, round, load.millis_of(round)),
                 load.samples_of(request)});
        }
    }
    Counts counts;
    const auto begin = std::chrono::steady_clock::now();
    {
        std::vector<std::jthread> threads;
        threads.reserve(connections);
        for (const auto& each : posts) {
            threads.emplace_back([&] { send_all(port, path, each, counts); });
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    fmt::print(R"({{"requests":{},"samples":{},"bytes":{},"busy":{},"failed":{},"seconds":{:.3f}}})"
               "\n",
               counts.requests.load(), counts.samples.load(), counts.bytes.load(),
               counts.busy.load(), counts.failed.load(), took.count());
    return counts.failed == 0 ? 0 : 1;
}
