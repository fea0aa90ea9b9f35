"""What may stay in the index when agreements and delimitations have been narrowed. Pure."""

from broker.domain.agreement import ACCEPTING, Facts
from broker.domain.entry import Entry
from broker.domain.policy import still_delivered, still_wanted


def left_out(entry: Entry, facts: Facts) -> bool:
    """Whether an open agreement, or the municipality's delimitation, leaves out a case: then it is not kept.

    What is hidden because its agreement is not open stays, and so does what too little is known of to judge by.
    """
    agreement = facts.senders.get((entry.key.authority, entry.key.system))
    if agreement is None or agreement.state not in ACCEPTING or entry.kle is None or entry.created_at is None:
        return False
    return still_delivered(entry, facts) is not None or still_wanted(entry, facts) is not None
