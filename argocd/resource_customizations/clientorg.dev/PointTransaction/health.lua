-- The kinds of clientorg.dev follow kstatus: Stalled, Reconciling and Ready, for the generation that was observed.
-- A client that is paused, deactivated or terminated is Ready, as it was wished, and Suspended: nothing runs in it.
local hs = { status = "Progressing", message = "Waiting for the operator" }

if obj.status == nil or obj.status.conditions == nil then
  return hs
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  hs.message = "Waiting for the operator to see the change"
  return hs
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end

local function is(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

if is("Stalled") then
  hs.status = "Degraded"
  hs.message = conditions.Stalled.message
elseif is("Reconciling") then
  hs.message = conditions.Reconciling.message
elseif is("Ready") then
  hs.status = "Healthy"
  if is("Paused") then
    hs.status = "Suspended"
  end
  hs.message = conditions.Ready.message
end
return hs
