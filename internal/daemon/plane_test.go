// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// A disk may be full for hours: the end of a workload is noted when it has room,
// and not told of each second until then.
func TestAnEndThatCannotBeNotedIsToldOfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		tries := 0
		full := func(_ context.Context, eni string, ns desired.Namespace) error {
			if tries++; tries <= 100 {
				return errors.New("no room")
			}
			if eni != "eni-1" || ns.PID != 7 {
				t.Errorf("the end of %s in %v is noted", eni, ns)
			}
			return nil
		}
		ended{"eni-1", desired.Namespace{PID: 7}}.note(t.Context(), logger, full)
		if tries != 101 || strings.Count(log.String(), "level=ERROR") != 1 || strings.Count(log.String(), "\n") != 2 {
			t.Errorf("%d tries, and the log says\n%s", tries, log.String())
		}
		log.Reset()
		ended{"eni-2", desired.Namespace{}}.note(t.Context(), logger, func(context.Context, string, desired.Namespace) error { return nil })
		if log.Len() > 0 {
			t.Errorf("an end that is noted at once is told of: %s", log.String())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		ended{"eni-3", desired.Namespace{}}.note(ctx, logger, func(ctx context.Context, _ string, _ desired.Namespace) error { return errors.New("no room") })
		if ctx.Err() == nil {
			t.Error("an end that is not noted is forgotten")
		}
	})
}
