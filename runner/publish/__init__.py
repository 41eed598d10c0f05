"""What may come out, and where it goes: policy, outputs, forges.

In: a proposal, which is untrusted data. Out: refusals with their causes, or receipts.
"""
