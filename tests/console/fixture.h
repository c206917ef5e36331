#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "console/api.h"
#include "core/log.h"
#include "http/router.h"
#include "streams/memory/memory_bus.h"

namespace vigie::console {

class FixedClock final : public Clock {
public:
    WallTime wall() const override;  // 2026-11-21T10:32:00Z
    SteadyTime steady() const override { return {}; }
};

// What a client received, and whether it still takes more.
class RecordedSocket final : public http::WebSocket {
public:
    bool send(std::string text) override {
        if (!open) return false;
        received.push_back(std::move(text));
        return true;
    }
    std::vector<std::string> received;
    bool open = true;
};

struct Fixture {
    Fixture() : Fixture(Api::Options{}) {}
    explicit Fixture(Api::Options options, Views::Options view_options = {});

    void append(std::vector<streams::Message> messages);
    // Steps until nothing is new.
    void follow(Views& which);
    void follow() { follow(views); }

    using Headers = std::vector<std::pair<std::string, std::string>>;
    http::Response call(std::string method, std::string path, std::string body = {},
                        Headers headers = {}, Headers query = {});
    http::Response decide(std::string json, Headers more = {});
    std::vector<streams::Record> decisions() const;

    FixedClock clock;
    streams::MemoryBus bus;
    MetricsRegistry metrics;
    MemoryLog log;
    Views views;
    Api api;
    http::Router router;
};

}  // namespace vigie::console
