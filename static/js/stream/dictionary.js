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
eam","alias":1,"stream":"s","epoch":1,"rendition":"overview","rate_hz":500.0,"factor":5,"leads":[{"n
ame":"II","gain_uv":5.0,"baseline":0}],"all_leads":["I","II","III","aVR","aVL","aVF","V1","V5"],"uni
t":"uV","source":"LIVE","patient":"P-","frame_ms":1000},{"type":"stream","alias":1,"stream":"s","epo
ch":1,"rendition":"display","rate_hz":500.0,"factor":1,"leads":[{"name":"I","gain_uv":5.0,"baseline"
:0},{"name":"II","gain_uv":5.0,"baseline":0},{"name":"III","gain_uv":5.0,"baseline":0},{"name":"aVR"
,"gain_uv":5.0,"baseline":0},{"name":"aVL","gain_uv":5.0,"baseline":0},{"name":"aVF","gain_uv":5.0,"
baseline":0},{"name":"V1","gain_uv":5.0,"baseline":0},{"name":"V5","gain_uv":5.0,"baseline":0}],"all
_leads":["I","II","III","aVR","aVL","aVF","V1","V5"],"unit":"uV","source":"LIVE","patient":"P-","fra
me_ms":500},{"type":"stream","alias":1,"stream":"s","epoch":1,"rendition":"lossless","rate_hz":360.0
,"factor":1,"leads":[{"name":"I","gain_uv":5.0,"baseline":0},{"name":"II","gain_uv":5.0,"baseline":0
},{"name":"III","gain_uv":5.0,"baseline":0},{"name":"aVR","gain_uv":5.0,"baseline":0},{"name":"aVL",
"gain_uv":5.0,"baseline":0},{"name":"aVF","gain_uv":5.0,"baseline":0},{"name":"V1","gain_uv":5.0,"ba
seline":0},{"name":"V5","gain_uv":5.0,"baseline":0}],"all_leads":["I","II","III","aVR","aVL","aVF","
V1","V5"],"unit":"uV","source":"REPLAY","patient":"P-","frame_ms":100},{"type":"stream","alias":1,"s
tream":"s","epoch":1,"rendition":"lossless","rate_hz":500.0,"factor":1,"leads":[{"name":"I","gain_uv
":5.0,"baseline":0},{"name":"II","gain_uv":5.0,"baseline":0},{"name":"III","gain_uv":5.0,"baseline":
0},{"name":"aVR","gain_uv":5.0,"baseline":0},{"name":"aVL","gain_uv":5.0,"baseline":0},{"name":"aVF"
,"gain_uv":5.0,"baseline":0},{"name":"V1","gain_uv":5.0,"baseline":0},{"name":"V5","gain_uv":5.0,"ba
seline":0}],"all_leads":["I","II","III","aVR","aVL","aVF","V1","V5"],"unit":"uV","source":"LIVE","pa
tient":"P-","frame_ms":100},{"type":"gap","stream":"s","epoch":1,"from":1,"to":2,"reason":"dropped",
"recoverable":false},{"type":"gap","stream":"s","epoch":1,"from":1,"to":2,"reason":"quota","recovera
ble":false},{"type":"gap","stream":"s","epoch":1,"from":1,"to":2,"reason":"emergency","recoverable":
false},{"type":"gap","stream":"s","epoch":1,"from":1,"to":2,"reason":"rendition","recoverable":false
},{"type":"time","server_ms":1800000000000.0},{"type":"stats","rtt_ms":null,"goodput_bps":null,"wind
ow_bytes":4096,"in_flight_bytes":0,"queued":{"critical":0,"high":1,"normal":0,"low":0,"bulk":0},"dro
pped":0,"expired":0,"condition":"poor","rendition":"lossless","reason":"steady"},{"type":"stats","rt
t_ms":null,"goodput_bps":null,"window_bytes":4096,"in_flight_bytes":0,"queued":{"critical":0,"high":
0,"normal":0,"low":0,"bulk":0},"dropped":0,"expired":0,"condition":"good","rendition":"lossless","re
ason":"steady"},{"type":"stats","rtt_ms":null,"goodput_bps":null,"window_bytes":4096,"in_flight_byte
s":0,"queued":{"critical":0,"high":1,"normal":0,"low":0,"bulk":0},"dropped":0,"expired":0,"condition
":"excellent","rendition":"lossless","reason":"steady"},{"type":"vitals","stream":"s","epoch":1,"sam
ple":1,"hr":60.0,"hr_source":"V1"},{"type":"vitals","stream":"s","epoch":1,"sample":1,"hr":60.0,"hr_
source":"II"},{"type":"quality","stream":"s","epoch":1,"sample":1,"state":"live","leads_off":[],"rat
e_hz":250.0}
`;

export const DICTIONARY = new TextEncoder().encode(TEXT.replaceAll("\n", ""));
