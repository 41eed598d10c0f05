# feature_enabled?(:new-checkout)
def go
  pay if feature_enabled?("new-checkout")
end
