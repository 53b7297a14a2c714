// @ts-check
/** What JSON frames are deflated behind by flag: made by tests/make_tables.py. */

const TEXT = `
,"hr":50.,"hr":51.,"hr":52.,"hr":53.,"hr":54.,"hr":55.,"hr":56.,"hr":57.,"hr":58.,"hr":59.,,"hr":60.
,"hr":61.,"hr":62.,"hr":63.,"hr":64.,"hr":65.,"hr":66.,"hr":67.,"hr":68.,"hr":69.,,"hr":70.,"hr":71.
,"hr":72.,"hr":73.,"hr":74.,"hr":75.,"hr":76.,"hr":77.,"hr":78.,"hr":79.,,"hr":80.,"hr":81.,"hr":82.
,"hr":83.,"hr":84.,"hr":85.,"hr":86.,"hr":87.,"hr":88.,"hr":89.,,"hr":90.,"hr":91.,"hr":92.,"hr":93.
,"hr":94.,"hr":95.,"hr":96.,"hr":97.,"hr":98.,"hr":99.,{"type":"welcome","protocol":"vital.v1","conn
ection":"c","server_ms":1800000000000.0,"limits":{"max_streams":64,"max_message_bytes":65536},"ack":
{"messages":4,"ms":100},"keepalive_s":3},{"type":"roster","streams":[{"stream":"s","patient":"P-","n
ame":"","ward":"ward-1","ward_name":"Ward 1","bed":"1","source":"LIVE","online":true}]},{"type":"str
eam","alias":1,"stream":"s","epoch":1,"rendition":"lossless","rate_hz":250.0,"leads":[{"name":"I","g
ain_uv":5.0,"baseline":0},{"name":"II","gain_uv":5.0,"baseline":0},{"name":"III","gain_uv":5.0,"base
line":0},{"name":"aVR","gain_uv":5.0,"baseline":0},{"name":"aVL","gain_uv":5.0,"baseline":0},{"name"
:"aVF","gain_uv":5.0,"baseline":0},{"name":"V1","gain_uv":5.0,"baseline":0},{"name":"V5","gain_uv":5
.0,"baseline":0}],"unit":"uV","source":"SIM","patient":"P-","frame_ms":100},{"type":"stream","alias"
:1,"stream":"s","epoch":1,"rendition":"lossless","rate_hz":360.0,"leads":[{"name":"I","gain_uv":5.0,
"baseline":0},{"name":"II","gain_uv":5.0,"baseline":0},{"name":"III","gain_uv":5.0,"baseline":0},{"n
ame":"aVR","gain_uv":5.0,"baseline":0},{"name":"aVL","gain_uv":5.0,"baseline":0},{"name":"aVF","gain
_uv":5.0,"baseline":0},{"name":"V1","gain_uv":5.0,"baseline":0},{"name":"V5","gain_uv":5.0,"baseline
":0}],"unit":"uV","source":"REPLAY","patient":"P-","frame_ms":100},{"type":"stream","alias":1,"strea
m":"s","epoch":1,"rendition":"lossless","rate_hz":500.0,"leads":[{"name":"I","gain_uv":5.0,"baseline
":0},{"name":"II","gain_uv":5.0,"baseline":0},{"name":"III","gain_uv":5.0,"baseline":0},{"name":"aVR
","gain_uv":5.0,"baseline":0},{"name":"aVL","gain_uv":5.0,"baseline":0},{"name":"aVF","gain_uv":5.0,
"baseline":0},{"name":"V1","gain_uv":5.0,"baseline":0},{"name":"V5","gain_uv":5.0,"baseline":0}],"un
it":"uV","source":"LIVE","patient":"P-","frame_ms":100},{"type":"gap","stream":"s","epoch":1,"from":
1,"to":2,"reason":"expired","recoverable":false},{"type":"gap","stream":"s","epoch":1,"from":1,"to":
2,"reason":"dropped","recoverable":false},{"type":"gap","stream":"s","epoch":1,"from":1,"to":2,"reas
on":"quota","recoverable":false},{"type":"gap","stream":"s","epoch":1,"from":1,"to":2,"reason":"emer
gency","recoverable":false},{"type":"gap","stream":"s","epoch":1,"from":1,"to":2,"reason":"source","
recoverable":true},{"type":"time","server_ms":1800000000000.0},{"type":"stats","rtt_ms":null,"goodpu
t_bps":null,"window_bytes":4096,"in_flight_bytes":0,"queued":{"critical":0,"high":0,"normal":0,"low"
:0,"bulk":0},"dropped":0,"expired":0,"condition":"excellent","rendition":"lossless"},{"type":"vitals
","stream":"s","epoch":1,"sample":1,"hr":60.0,"hr_source":"V1"},{"type":"vitals","stream":"s","epoch
":1,"sample":1,"hr":60.0,"hr_source":"II"},{"type":"quality","stream":"s","epoch":1,"sample":1,"stat
e":"live","leads_off":[],"rate_hz":500.0},{"type":"quality","stream":"s","epoch":1,"sample":1,"state
":"live","leads_off":[],"rate_hz":360.0},{"type":"quality","stream":"s","epoch":1,"sample":1,"state"
:"live","leads_off":[],"rate_hz":250.0}
`;

export const DICTIONARY = new TextEncoder().encode(TEXT.replaceAll("\n", ""));
