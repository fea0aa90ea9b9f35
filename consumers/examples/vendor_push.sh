#!/usr/bin/env bash
# A vendor pushes cases with curl, reads what became of them, mends what was refused, and sends everything once more.
#   SAGSBRO_TOKEN=… consumers/examples/vendor_push.sh http://127.0.0.1:8470 sbsys 55133018
set -euo pipefail
url=$1 system=$2 authority=$3
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
new_id() { uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid; }
first=$(new_id) second=$(new_id)

case_event() { # event_id, case_id, KLE number -> one line of JSON
  printf '%s' '{"event_id":"'"$1"'","system":"'"$system"'","authority":"'"$authority"'","case_id":"'"$2"'",' \
    '"registered_at":"'"$now"'","change":"REGISTERED","classification":{"kle":"'"$3"'"},' \
    '"properties":{"user_key":"17/24","title":"Bevilling","created_at":"'"$now"'"},' \
    '"progress":[{"state":"OPSTAAET","effective_from":"'"$now"'"}]}'
  echo
}
call() { curl -sS --retry 5 -H "Authorization: Bearer $SAGSBRO_TOKEN" "$@"; }
push() { # lines of events on stdin; the key makes sure that they are taken in once, however often curl tries
  gzip | call -X POST "$url/v1/case-events" --data-binary @- -H "Idempotency-Key: $(new_id)" \
    -H 'Content-Type: application/x-ndjson' -H 'Content-Encoding: gzip'
}
verdicts() { # an answer on stdin -> what became of its events, once none of them is pending
  local receipt_id shown
  receipt_id=$(sed -E 's/.*"receipt_id":"([^"]+)".*/\1/')
  while shown=$(call "$url/v1/receipts/$receipt_id") && [[ $shown == *'"pending"'* ]]; do sleep 0.2; done
  grep -oE '"status":"[a-z]+"' <<<"$shown" | cut -d'"' -f4 | paste -sd' '
}

answer=$({ case_event "$first" "$first" 27.36.04; case_event "$second" "$second" 27.36; } | push)
grep -oE '"code":"[^"]+"|"pointer":"[^"]+"' <<<"$answer" | cut -d'"' -f4 | paste -sd' '
echo "first: $(verdicts <<<"$answer")"
echo "mended: $(case_event "$second" "$second" 27.36.04 | push | verdicts)"
echo "once more: $({ case_event "$first" "$first" 27.36.04; case_event "$second" "$second" 27.36.04; } | push | verdicts)"
