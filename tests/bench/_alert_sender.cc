// Posts alerts to /api/v2/alerts for tests/bench/alerts.py and tests/e2e/overload_test.py, as many
// as the server takes or at a given rate, and says what was answered. Its own processor time counts
// for nobody.
//
// usage: alert_sender PORT CONNECTIONS ALERTS_PER_REQUEST REQUESTS [RATE ACCEPTED_FILE SECONDS]
// REQUESTS 0: for so many seconds. Prints
// {"ok":…,"busy":…,"failed":…,"seconds":…}.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

namespace {

using SteadyClock = std::chrono::steady_clock;

struct Plan {
    std::uint16_t port = 0;
    int connections = 1;
    int alerts = 1;
    long requests = 0;
    double rate = 0;  // Requests a second of all connections; 0: as many as are answered
    std::string accepted_file;
    int seconds = 10;
};

struct Counts {
    std::atomic<long> next{0};
    std::atomic<long> ok{0};
    std::atomic<long> busy{0};
    std::atomic<long> failed{0};
    std::mutex mutex;
    std::vector<long> accepted;  // Numbers of the requests that were answered with 200
};

std::string rfc3339(std::time_t at) {
    std::tm parts{};
    gmtime_r(&at, &parts);
    char text[32] = {};
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

// As Prometheus sends: the same thousand alerts again and again, each time with a later end. With
// an accepted_file every request has a label of its own, so that it can be found again.
std::string body_of(const Plan& plan, long number) {
    const std::time_t now = std::time(nullptr);
    const auto starts_at = rfc3339(now - 3600);
    const auto ends_at = rfc3339(now + 240);
    std::string body = "[";
    for (int i = 0; i < plan.alerts; ++i) {
        const long which = (number * plan.alerts + i) % 1000;
        body += i == 0 ? "" : ",";
        body += fmt::format(
            R"({{"annotations":{{"description":"node-{0}:9100 of job node has been above its limit for more than 5 minutes.","summary":"Disk of node-{0} fills up"}},"endsAt":"{2}","startsAt":"{1}","generatorURL":"http://prometheus.example:9090/graph?g0.expr=node_filesystem_avail_bytes","labels":{{"alertname":"DiskFillsUp","device":"/dev/sda1","fstype":"ext4","instance":"node-{0}:9100","job":"node","severity":"info"{3}}}}})",
            which, starts_at, ends_at,
            plan.accepted_file.empty() ? "" : fmt::format(R"(,"request":"r{}")", number));
    }
    return body + "]";
}

int connect_to(std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        close(fd);
        return -1;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

// The status of one request, 0 when the connection broke.
int post(int fd, const std::string& body) {
    const auto request = fmt::format(
        "POST /api/v2/alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Content-Length: {}\r\n\r\n{}",
        body.size(), body);
    for (std::size_t sent = 0; sent < request.size();) {
        const auto n = send(fd, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return 0;
        sent += static_cast<std::size_t>(n);
    }
    std::string answer;
    char buffer[4096] = {};
    while (true) {
        const auto n = recv(fd, buffer, sizeof buffer, 0);
        if (n <= 0) return 0;
        answer.append(buffer, static_cast<std::size_t>(n));
        const auto end = answer.find("\r\n\r\n");
        if (end == std::string::npos) continue;
        std::size_t length = 0;
        std::string head = answer.substr(0, end);
        for (char& c : head) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        if (const auto at = head.find("content-length: "); at != std::string::npos) {
            std::from_chars(head.data() + at + 16, head.data() + head.size(), length);
        }
        if (answer.size() < end + 4 + length) continue;
        int status = 0;
        std::from_chars(answer.data() + 9, answer.data() + 12, status);
        return status;
    }
}

void work(const Plan& plan, Counts& counts, SteadyClock::time_point begin) {
    int fd = -1;
    const auto end = begin + std::chrono::seconds{plan.seconds};
    while (true) {
        const long number = counts.next.fetch_add(1);
        if (plan.requests > 0 && number >= plan.requests) break;
        if (plan.rate > 0) {
            const auto at =
                begin + std::chrono::duration_cast<SteadyClock::duration>(
                            std::chrono::duration<double>(static_cast<double>(number) / plan.rate));
            if (plan.requests == 0 && at > end) break;
            std::this_thread::sleep_until(at);
        }
        if (plan.requests == 0 && SteadyClock::now() > end) break;
        if (fd < 0) fd = connect_to(plan.port);
        const int status = fd < 0 ? 0 : post(fd, body_of(plan, number));
        if (status == 200) {
            ++counts.ok;
            if (!plan.accepted_file.empty()) {
                const std::scoped_lock lock(counts.mutex);
                counts.accepted.push_back(number);
            }
        } else if (status == 503 || status == 429) {
            ++counts.busy;
        } else {
            ++counts.failed;
            if (fd >= 0) close(fd);
            fd = -1;
        }
    }
    if (fd >= 0) close(fd);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5) return 2;
    Plan plan;
    plan.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    plan.connections = std::atoi(argv[2]);
    plan.alerts = std::atoi(argv[3]);
    plan.requests = std::atol(argv[4]);
    if (argc > 5) plan.rate = std::atof(argv[5]);
    if (argc > 6) plan.accepted_file = argv[6];
    if (argc > 7) plan.seconds = std::atoi(argv[7]);
    Counts counts;
    const auto begin = SteadyClock::now();
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < plan.connections; ++i) {
            threads.emplace_back([&] { work(plan, counts, begin); });
        }
    }
    const std::chrono::duration<double> took = SteadyClock::now() - begin;
    if (!plan.accepted_file.empty()) {
        std::ofstream file(plan.accepted_file);
        for (const long number : counts.accepted) file << 'r' << number << '\n';
    }
    fmt::print("{{\"ok\":{},\"busy\":{},\"failed\":{},\"seconds\":{:.3f}}}\n", counts.ok.load(),
               counts.busy.load(), counts.failed.load(), took.count());
    return counts.ok > 0 ? 0 : 1;
}
