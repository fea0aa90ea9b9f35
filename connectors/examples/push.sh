#!/usr/bin/env bash
# A vendor pushes cases in its own words with curl, reads what became of them, mends what was refused, and sends again.
#   SAGSBRO_TOKEN=… connectors/examples/push.sh http://127.0.0.1:8470 55133018
set -euo pipefail
url=$1 authority=$2
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
new_id() { uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid; }
first=$(new_id) second=$(new_id)

case_of() { # SagIdentity, status -> a case as SBSYS shows it
  printf '%s' '{"SagIdentity":"'"$1"'","Nummer":"27.36.04-G01-1-24","SagsTitel":"Bevilling","SagsStatus":{"Navn":"'"$2"'"},' \
    '"PrimaryPart":{"PartType":"Person","CPRnummer":"010145-5001"},' \
    '"Oprettet":"'"$now"'","SenesteStatusAendring":"'"$now"'","SenestAendret":"'"$now"'"}'
}
call() { curl -sS --retry 5 -H "Authorization: Bearer $SAGSBRO_TOKEN" "$@"; }
push() { # a list of cases on stdin; the key makes sure that they are taken in once, however often curl tries
  call -X POST "$url/v1/events/sbsys?authority=$authority" --data-binary @- -H "Idempotency-Key: $(new_id)" \
    -H 'Content-Type: application/json'
}
verdicts() { # an answer on stdin -> what became of its cases, once none of them is pending
  local receipt_id shown
  receipt_id=$(sed -E 's/.*"receipt_id":"([^"]+)".*/\1/')
  while shown=$(call "$url/v1/receipts/$receipt_id") && [[ $shown == *'"pending"'* ]]; do sleep 0.2; done
  grep -oE '"status":"[a-z]+"' <<<"$shown" | cut -d'"' -f4 | paste -sd' '
}

answer=$(push <<<"[$(case_of "$first" Aktiv),$(case_of "$second" Parkeret)]")
grep -oE '"code":"[^"]+"|"pointer":"[^"]+"' <<<"$answer" | cut -d'"' -f4 | paste -sd' '
echo "first: $(verdicts <<<"$answer")"
echo "mended: $(push <<<"[$(case_of "$second" Aktiv)]" | verdicts)"
echo "once more: $(push <<<"[$(case_of "$first" Aktiv),$(case_of "$second" Aktiv)]" | verdicts)"
