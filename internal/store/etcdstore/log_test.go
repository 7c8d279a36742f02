// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

func TestLogIsFiltered(t *testing.T) {
	var out bytes.Buffer
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	core := newSlogCore(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: withoutTime})))
	log := core.logger().With(zap.Int("member", 1))
	log.Info("chatter")
	log.Warn(expected[0])
	log.Warn("slow disk", zap.Duration("took", 3))
	log.Error("database space exceeded")
	core.mute()
	log.Error("closing")
	want := `level=WARN msg="etcd: slow disk" member=1 took=3ns
level=ERROR msg="etcd: database space exceeded" member=1
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
