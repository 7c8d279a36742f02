// SPDX-License-Identifier: Apache-2.0

package system

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// metrics is what a scrape gives: values by name and labels, of histograms the
// number of observations.
type metrics map[string]map[string]float64

// scrape reads the metrics of a Postern with Prometheus' own parser.
func scrape(t *testing.T, p *postern.Postern) metrics {
	t.Helper()
	var running struct{ Metrics string }
	text, err := os.ReadFile(filepath.Join(p.Data, "running.json"))
	if err == nil {
		err = json.Unmarshal(text, &running)
	}
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get(running.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := metrics{}
	for name, f := range families {
		all[name] = map[string]float64{}
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += l.GetName() + "=" + l.GetValue() + " "
			}
			all[name][labels] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// A running Postern tells Prometheus what it is asked, how far it is, and what its
// routers carry.
func TestMetrics(t *testing.T) {
	s := newPair(t, "--metrics-listen", "127.0.0.1:0")
	conn := dial(t, s.client, at(s.endpoint.Address()))
	for range 50 {
		if err := testnet.Echo(conn, "packets"); err != nil {
			t.Fatal(err)
		}
	}
	none := &ec2.DescribeVpcsInput{VpcIds: []string{"vpc-00000000000000000"}}
	if err := s.Do(ec2.Service, "DescribeVpcs", none, nil); postern.Code(err) != "InvalidVpcID.NotFound" {
		t.Fatal(err)
	}
	awaitSettled(t, s.Postern)
	got := scrape(t, s.Postern)
	at := func(name, labels string, least float64) {
		t.Helper()
		if value, ok := got[name][labels]; !ok || value < least {
			t.Errorf("%s{%s} is %v, %v; want at least %v; there are %v", name, labels, value, ok, least, maps.Collect(maps.All(got[name])))
		}
	}
	at("postern_requests_total", "code=ok operation=CreateVpc service=ec2 ", 2)
	at("postern_requests_total", "code=InvalidVpcID.NotFound operation=DescribeVpcs service=ec2 ", 1)
	at("postern_request_duration_seconds", "operation=CreateVpcEndpoint service=ec2 ", 1)
	at("postern_programming_seconds", "", 5)
	at("postern_store_revision", "", 10)
	at("postern_settled_revision", "", 10)
	at("postern_entries", "state=wanted ", 10)
	at("postern_rows_set_aside", "", 0)
	at("postern_makers_failing", "", 0)
	at("postern_store_size_bytes", "", 1)
	at("postern_store_quota_bytes", "", 1<<20)
	at("postern_routers", "", 2)
	at("postern_router_connections", "vpc="+s.consumer.ID+" ", 1)
	at("postern_router_connections", "vpc="+s.provider.ID+" ", 1)
	at("postern_router_insertions_failed_total", "vpc="+s.provider.ID+" ", 0)
	at("postern_process_resident_memory_bytes", "", 1<<20)
	if e := got["postern_entries"]; e["state=programmed "] != e["state=wanted "] || e["state=failed "] != 0 {
		t.Errorf("entries: %v", e)
	}
	if _, lane := s.Status().Counters["express lane: packets"]; lane {
		at("postern_express_packets_total", "", 1)
		at("postern_router_express_bytes_total", "vpc="+s.consumer.ID+" ", 1)
	}
}

// Nothing is listened on when nobody asks for metrics.
func TestNoMetricsByDefault(t *testing.T) {
	p := postern.Start(t)
	text, err := os.ReadFile(filepath.Join(p.Data, "running.json"))
	if err != nil {
		t.Fatal(err)
	}
	var running map[string]any
	if err := json.Unmarshal(text, &running); err != nil || running["metrics"] != nil {
		t.Errorf("running.json: %s, %v", text, err)
	}
}
