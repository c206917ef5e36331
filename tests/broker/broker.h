#pragma once

#include <optional>
#include <string>

#include "tests/contract/harness.h"
#include "tests/support/process.h"

namespace vigie::streams {

// A real Kafka of this test program, started when first asked for (tools/kafka.py) and ended,
// by its id, with the program or when the program dies.
class Broker {
public:
    explicit Broker(int nodes);

    // One cluster of one node for all tests that do it no harm.
    static Broker& shared();

    const std::string& servers() const { return servers_; }
    // With SASL/PLAIN: admin/admin may do all, limited/limited nothing.
    const std::string& sasl_servers() const { return sasl_servers_; }
    // With TLS, by a certificate that ca_file() signed and stranger_file() did not.
    const std::string& ssl_servers() const { return ssl_servers_; }
    std::string ca_file() const { return folder_.path() + "/ca.pem"; }
    std::string stranger_file() const { return folder_.path() + "/stranger.pem"; }
    // Makes the user scram/scram for SCRAM-SHA-256.
    void add_scram_user() { obey("scram", 0); }

    void kill(int node) { obey("kill", node); }    // As a power cut.
    void start(int node) { obey("start", node); }  // Until it answers again.
    void pause(int node) { obey("pause", node); }  // Alive, but silent.
    void resume(int node) { obey("resume", node); }

private:
    void obey(const std::string& verb, int node);

    TempFolder folder_;
    std::optional<test::Process> process_;
    std::string servers_;
    std::string sasl_servers_;
    std::string ssl_servers_;
};

}  // namespace vigie::streams
