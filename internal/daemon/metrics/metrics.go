// SPDX-License-Identifier: Apache-2.0

// Package metrics tells Prometheus how a daemon is doing. All names begin with
// postern_, and no label takes values that users choose. A scrape waits for nobody
// longer than a moment: of what the kernel must be asked for, it gives the last
// answer there was.
package metrics

import (
	"cmp"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/posternhq/postern/internal/aws/server"
)

// namespace is the first word of every name.
const namespace = "postern"

// otherLabel is the value of a label that stands for all others.
const otherLabel = "other"

// Metrics counts what happens, and gathers what there is when it is asked. It has
// a registry of its own. The methods may be called by many goroutines.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	programmed prometheus.Histogram

	mu    sync.RWMutex
	known map[kind]counted
}

// kind is what requests are counted by.
type kind struct{ service, operation, code string }

// counted is what counts the requests of a kind.
type counted struct {
	requests  prometheus.Counter
	durations prometheus.Observer
}

// New makes the metrics of a daemon of a version. What is gathered is asked of the
// sources.
func New(version string, from Sources) *Metrics {
	m := &Metrics{
		known:    map[kind]counted{},
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "requests_total",
			Help: "API requests by service, operation and error code, which is ok when there is none.",
		}, []string{"service", "operation", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_duration_seconds", Help: "Time from a request's head to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"service", "operation"}),
		programmed: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "programming_seconds", Help: "Time from the commit of a change to its being done in the kernel, or in error there.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the version is a label.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.durations, m.programmed, build, newCollector(from),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{Namespace: namespace}))
	return m
}

// Request counts a request that was answered.
func (m *Metrics) Request(o server.Observation) {
	k := kind{cmp.Or(o.Service, otherLabel), cmp.Or(o.Operation, otherLabel), cmp.Or(o.Code, "ok")}
	m.mu.RLock()
	c, ok := m.known[k]
	m.mu.RUnlock()
	if !ok {
		c = counted{m.requests.WithLabelValues(k.service, k.operation, k.code), m.durations.WithLabelValues(k.service, k.operation)}
		m.mu.Lock()
		m.known[k] = c
		m.mu.Unlock()
	}
	c.requests.Inc()
	c.durations.Observe(o.Took.Seconds())
}

// Programmed notes that a change has reached the kernel.
func (m *Metrics) Programmed(took time.Duration) { m.programmed.Observe(took.Seconds()) }

// Bounds of what those who scrape can take.
const (
	scrapes      = 4
	scrapeAtMost = 10 * time.Second
)

// Handler answers scrapes, on /metrics.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapes, Timeout: scrapeAtMost,
	}))
	return mux
}

// Gatherer gives what a scrape gives.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }
